"""The observer: is it told everything, does it change nothing, and is what it makes true?"""

import asyncio
import contextlib
import gc
import itertools
import json
import threading
import time

import pytest

import loopkit
from loopkit.diagnostics import observe
from loopkit.diagnostics.capture import Capture, recording_of
from loopkit.diagnostics.listing import listing
from loopkit.diagnostics.perfetto import trace, turn_end
from loopkit.diagnostics.recording import Call, Note, Poll
from loopkit.diagnostics.tracefile import BadRecording, encode, load
from loopkit.transports.stream import StreamTransport
from loopkit.watches import Watches
from tests.support.net import TOO_MUCH, listener, unix_pair
from tests.support.pythons import PYPY, cpython_only, drop
from tests.unit.diagnostics.perfetto_checker import check
from tests.unit.diagnostics.test_turns import PROGRAMS, Frozen


@pytest.fixture
def loop():
    loop = loopkit.Loop()
    yield loop
    loop.close()


def recorded(loop, coroutine, turns=0):
    """What a coroutine made the loop do: all of it. The busy poller turns thousands of times in a sleep."""
    capture = Capture(loop, turns)
    end = observe(loop, capture)
    try:
        loop.run_until_complete(coroutine)
    finally:
        end()
    return recording_of([capture])


async def echo_some(count=3):
    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(count):
        writer.write(b"line\n")
        await reader.readline()
        await asyncio.sleep(0.001)
    writer.close()
    await writer.wait_closed()
    server.close()
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("program", PROGRAMS)
def test_order_is_that_of_the_plain_turn(program):
    def order(observed):
        clock, log = Frozen(), []

        class Loop(loopkit.EpollLoop):
            time = staticmethod(clock)

        loop = Loop()
        if observed:
            observe(loop, Capture(loop, 100))
        with contextlib.ExitStack() as stack:
            program(loop, log, clock, stack.enter_context)
            loop.run_forever()
            loop.close()
        return log

    assert order(True) == order(False)


def test_every_kind_of_step_is_told(loop):
    seen = []

    class Everything:
        def __getattr__(self, name):
            if name.startswith("_"):
                raise AttributeError(name)
            return lambda *args: seen.append((name, *args))

    async def main():
        await echo_some(1)
        gc.collect()
        loop.call_exception_handler({"message": "look"})

    loop.set_exception_handler(lambda loop, context: None)
    observe(loop, Everything())
    loop.run_until_complete(main())
    names = [name for name, *_ in seen]
    assert set(names) == {
        "turn_begins",
        "poll_begins",
        "poll_ends",
        "callback_begins",
        "task_begins",
        "task_ends",
        "callback_ends",
        "written",
        "opened",
        "closed",
        *([] if PYPY else ["collected"]),  # it has no gc.callbacks
        "reported",
    }
    assert names.count("callback_begins") == names.count("callback_ends")
    assert names.count("poll_begins") == names.count("poll_ends")


def test_why_something_ran_is_known(loop):
    async def main():
        asyncio.get_running_loop().call_later(0.001, int)
        future = loop.create_future()
        thread = threading.Thread(
            target=loop.call_soon_threadsafe, args=(future.set_result, 1), name="helper"
        )
        thread.start()
        await future
        thread.join()
        with unix_pair() as (ours, peer):
            read = loop.create_future()
            loop.add_reader(ours, read.set_result, None)
            peer.send(b"x")
            await read
            loop.remove_reader(ours)
        await asyncio.sleep(0.01)

    calls = list(recorded(loop, main()).tracks[0].calls())
    timer = next(call for call in calls if call.why == "timer" and call.name == "int")
    assert timer.late >= 0
    assert timer.origin.file == __file__
    assert calls[timer.by - calls[0].number].name.endswith("main")
    woken = next(call for call in calls if call.thread)
    assert (woken.thread, woken.by) == ("helper", 0)
    event = next(call for call in calls if call.why == "event" and "set_result" in call.name)
    assert event.mask & 1
    resumed = next(call for call in calls if call.by == event.number)
    assert resumed.task
    assert resumed.future == "Future"
    assert resumed.place.file == __file__
    assert resumed.place.text() == "await read"


def test_writes_are_told_with_what_became_of_them(loop):
    async def main():
        with listener() as peer:
            _, writer = await asyncio.open_connection(*peer.getsockname())
            writer.write(b"small")
            await asyncio.sleep(0)
            writer.write(b"x" * TOO_MUCH)
            await asyncio.sleep(0)
            writer.transport.abort()
            await asyncio.sleep(0.001)

    notes = [
        step
        for step in recorded(loop, main()).tracks[0].steps()
        if isinstance(step, Note) and step.kind == "w"
    ]
    first, second = (note.facts for note in notes[:2])
    assert first[1:] == (5, 0, 0)
    assert second[1] == 0
    assert second[2] + second[3] == TOO_MUCH
    assert second[3] > 0


@cpython_only("PyPy has no gc.callbacks")
def test_what_was_put_in_is_taken_out(loop):
    write = StreamTransport.write
    callbacks = list(gc.callbacks)
    end = observe(loop, Capture(loop, 10))
    assert StreamTransport.write is not write
    assert loop._guarded
    end()
    end()
    assert StreamTransport.write is write
    assert type(loop._watches) is Watches
    assert gc.callbacks == callbacks
    assert "call_exception_handler" not in vars(loop)
    assert loop._guarded == loop.get_debug()
    loop.run_until_complete(asyncio.sleep(0))


def test_an_observer_that_raises_is_logged_and_removed(loop, asyncio_log):
    class Bad:
        def callback_begins(self, call):
            raise LookupError("observer")

    good = Capture(loop, 10)
    observe(loop, Bad())
    end = observe(loop, good)
    loop.run_until_complete(asyncio.sleep(0))
    end()
    assert [record.getMessage().startswith("the observer") for record in asyncio_log] == [True]
    assert good.turns


def test_who_hears_nothing_is_refused(loop):
    with pytest.raises(TypeError, match="an observer has at least one of turn_begins, poll_begins"):
        observe(loop, object())
    with pytest.raises(TypeError, match="only loopkit's loops"):
        observe(asyncio.SelectorEventLoop, Capture(loop, 1))


def test_it_may_begin_and_end_in_the_middle_of_a_run(loop):
    capture = Capture(loop, 100)

    async def main():
        await asyncio.sleep(0)
        end = observe(loop, capture)
        await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)
        end()
        seen = capture.seen
        await asyncio.sleep(0.001)
        return seen

    assert loop.run_until_complete(main()) == capture.seen > 1


# -- what is made of it --------------------------------------------------------------------------------------


def test_a_trace_is_what_perfetto_reads(loop):
    recording = recorded(loop, echo_some())
    slices = check(trace(recording))
    assert len(slices) == 1
    names = {event["name"] for event in slices[1]}
    assert {"poll", "turn 1"} <= names


def test_callbacks_and_polls_and_the_loop_make_up_the_wall_clock_s_time(loop):
    async def busy():
        for _ in range(50):
            time.sleep(0.001)
            await asyncio.sleep(0.001)

    before = time.monotonic()
    recording = recorded(loop, busy())
    wall = time.monotonic() - before
    turns = recording.tracks[0].turns
    inside = sum(step.took for turn in turns for step in turn.steps if not isinstance(step, Note))
    own = sum(turn_end(turn) - turn.start for turn in turns) - inside
    between = sum(b.start - turn_end(a) for a, b in itertools.pairwise(turns))
    covered = turn_end(turns[-1]) - turns[0].start
    assert inside + own + between == pytest.approx(covered, rel=0.02)
    assert covered <= wall
    assert all(step.took >= 0 for turn in turns for step in turn.steps)


def test_steps_of_a_turn_do_not_overlap(loop):
    for turn in recorded(loop, echo_some()).tracks[0].turns:
        steps = [step for step in turn.steps if isinstance(step, (Poll, Call))]
        for one, two in itertools.pairwise(steps):
            assert one.start + one.took <= two.start + 1e-6


def test_a_recording_is_read_as_it_was_written(loop, tmp_path):
    recording = recorded(loop, echo_some())
    for name, text in (("a.json", json.dumps(encode(recording))), ("b.json", trace(recording))):
        (tmp_path / name).write_text(text)
        again = load(tmp_path / name)
        assert again.about == recording.about
        assert again.lines == recording.lines
        ours, theirs = recording.tracks[0], again.tracks[0]
        assert len(ours.turns) == len(theirs.turns)
        for one, two in zip(ours.steps(), theirs.steps(), strict=True):
            assert type(one) is type(two)
            assert one.start == pytest.approx(two.start, abs=1e-6)
            if isinstance(one, Call):
                assert (one.number, one.name, one.task, one.why, one.by, one.future) == (
                    two.number,
                    two.name,
                    two.task,
                    two.why,
                    two.by,
                    two.future,
                )
                assert one.place is None or one.place[:2] == two.place[:2]
        assert listing(again)


def test_the_ring_keeps_the_last_turns(loop):
    async def main():
        for _ in range(100):
            await asyncio.sleep(0)

    track = recorded(loop, main(), turns=10).tracks[0]
    assert len(track.turns) == 10
    assert track.dropped > 0
    again = encode(recorded(loop, main(), turns=10))
    assert again["loops"][0]["first"] > 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "holds no recording"),
        ("[]", "holds no recording"),
        ('{"traceEvents": []}', "holds no recording"),
        ('{"loopkit": 99, "loops": []}', "of version 99; this loopkit reads version 1"),
        ('{"loopkit": 1, "loops": [{"name": "x"', "is cut off"),
        (
            '{"loopkit": 1, "about": {}, "strings": [], "lines": {}, "loops": [{"steps": [["t"]]}]}',
            "is damaged",
        ),
        ("<html>", "holds no recording"),
        ("\x00\xff", "holds no recording"),
    ],
)
def test_a_file_that_is_none_of_ours_is_told_from_one_that_is(tmp_path, text, what):
    file = tmp_path / "file"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(BadRecording, match=what):
        load(file)


def test_nothing_of_the_program_s_is_kept_alive(loop):
    import weakref

    class Thing:
        def method(self):
            pass

    thing = Thing()
    gone = weakref.ref(thing)
    capture = Capture(loop, 100)
    end = observe(loop, capture)
    loop.call_soon(thing.method)
    loop.call_later(0.0, thing.method)
    del thing
    loop.run_until_complete(asyncio.sleep(0.01))
    drop()
    assert gone() is None
    end()
    assert len(list(recording_of([capture]).tracks[0].calls())) >= 2
