"""Lint: is each fault found by what happened, named with file and line, and nothing else?"""

import asyncio
import socket
import time

import loopkit
from loopkit.diagnostics import observe
from loopkit.diagnostics.capture import Capture, recording_of
from loopkit.diagnostics.files import shown
from loopkit.diagnostics.lint import findings
from loopkit.diagnostics.recording import Call, Poll, Track, Turn
from loopkit.diagnostics.stacks import Place


def found_in(coroutine, loop=None):
    loop = loop or loopkit.EpollLoop()
    capture = Capture(loop, 0)
    observe(loop, capture)
    try:
        loop.run_until_complete(coroutine(loop))
        track = recording_of([capture]).tracks[0]
    finally:
        loop.close()
    return {finding.kind: finding for finding in findings(track)}


def line_of(function, offset):
    return function.__code__.co_firstlineno + offset


async def blocking(loop):
    await asyncio.sleep(0)
    time.sleep(0.11)


def test_a_coroutine_that_blocks():
    found = found_in(blocking)
    assert set(found) == {"blocks"}
    assert (found["blocks"].place.file, found["blocks"].place.line) == (__file__, line_of(blocking, 1))
    assert "blocking kept everybody waiting for 0.1" in found["blocks"].text


def test_what_the_program_itself_does_comes_first():
    track = Track(turns=[Turn(0.0, 1, 0, 1, [])])
    places = [Place(asyncio.__file__, 1, "library"), Place(__file__, 1, "own"), Place(__file__, 2, "longer")]
    for number, place in enumerate(places, 1):
        call = Call(number, (0.9, 0.2, 0.3)[number - 1], number, place.function, place, "", "soon")
        track.turns[0].steps.append(call)
    assert [finding.parts[0] for finding in findings(track)] == ["longer", "own", "library"]


async def waking(loop):
    for _ in range(60):
        await asyncio.sleep(0)


def test_a_task_that_wakes_itself():
    found = found_in(waking)
    assert set(found) == {"wakes-itself"}
    assert found["wakes-itself"].place.line == line_of(waking, 2)


async def rearming(loop):
    left = 60
    done = loop.create_future()

    def again():
        nonlocal left
        left -= 1
        if left:
            loop.call_later(0, again)
        else:
            done.set_result(None)

    loop.call_later(0, again)
    await done


def test_a_timer_that_rearms_at_once():
    found = found_in(rearming)
    assert "rearms" in found
    assert found["rearms"].place.line == line_of(rearming, 8)


async def not_reading(loop):
    ours, theirs = socket.socketpair()
    left = 60
    done = loop.create_future()

    def look():
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    loop.add_reader(ours, look)
    theirs.send(b"nobody reads this")
    await done
    loop.remove_reader(ours)
    ours.close()
    theirs.close()


def test_a_descriptor_that_reports_and_nobody_reads():
    found = found_in(not_reading)
    assert set(found) == {"unread"}
    assert found["unread"].place.line == line_of(not_reading, 5)


async def not_writing(loop):
    ours, theirs = socket.socketpair()
    left = 60
    done = loop.create_future()

    def has_nothing():
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    loop.add_reader(ours, int)
    loop.add_writer(ours, has_nothing)
    await done
    loop.remove_writer(ours)
    loop.remove_reader(ours)
    ours.close()
    theirs.close()


def test_a_writer_that_has_nothing_to_write_and_stays():
    found = found_in(not_writing)
    assert set(found) == {"unwritten"}
    assert found["unwritten"].place.line == line_of(not_writing, 5)
    assert "has_nothing, on socket" in found["unwritten"].text


async def one_after_the_other(loop):
    for name in ("first", "second"):
        ours, theirs = socket.socketpair()
        come = loop.create_future()
        exec(f"def {name}(come, sock): come.set_result(sock.recv(1))", functions := {})
        loop.add_reader(ours, functions[name], come, ours)
        theirs.send(b"x")
        await come
        loop.remove_reader(ours)
        ours.close()
        theirs.close()


def test_a_number_that_is_used_again_is_told_with_its_new_owner():
    loop = loopkit.EpollLoop()
    capture = Capture(loop, 0)
    observe(loop, capture)
    loop.run_until_complete(one_after_the_other(loop))
    track = recording_of([capture]).tracks[0]
    loop.close()
    events = [event for step in track.steps() if isinstance(step, Poll) for event in step.events]
    assert len({fd for fd, _, _ in events}) == 1
    assert [owner for _, _, owner in events] == ["first, on socket", "second, on socket"]


async def crowd(loop):
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    socks = []
    for _ in range(110):
        socks.append(sock := socket.socket())
        sock.connect(server.sockets[0].getsockname())
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    speaking = [note for note in socks[:3] if note.send(b"x")]
    await asyncio.sleep(0.01)
    assert speaking
    for sock in socks:
        sock.close()
    server.close()
    server.abort_clients()


def test_connections_that_never_speak():
    loop = loopkit.EpollLoop()
    capture = Capture(loop, 0)
    end = observe(loop, capture)
    loop.run_until_complete(crowd(loop))
    track = recording_of([capture]).tracks[0]
    end()
    loop.close()
    # In the whole run they are closed in the end; before that they are silent.
    cut = next(
        n for n, turn in enumerate(track.turns) if any(getattr(s, "kind", "") == "x" for s in turn.steps)
    )
    del track.turns[cut:]
    found = {finding.kind: finding for finding in findings(track)}
    assert "silent" in found
    assert "connections have never spoken" in found["silent"].text


async def healthy(loop):
    async def serve(reader, writer):
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(100):
        writer.write(b"x")
        await reader.read(100)
        await asyncio.sleep(0.0005)
    writer.close()
    await writer.wait_closed()
    server.close()
    await asyncio.sleep(0.01)


def test_a_healthy_program_has_no_faults():
    found = found_in(healthy)
    assert set(found) <= {"blocks"}  # a machine may be that busy


def test_turns_that_may_not_sleep_and_find_nothing():
    track = Track()
    for number in range(60):
        track.turns.append(Turn(number / 1000, 0, 1, 1, [Poll(number / 1000, 1e-6, 0.0, ())]))
    assert [finding.kind for finding in findings(track)] == ["spins"]
    track.turns[25] = Turn(0.025, 0, 1, 1, [Poll(0.025, 1e-3, 0.001, ())])
    assert findings(track) == []


def test_a_finding_in_words():
    found = found_in(blocking)["blocks"]
    assert str(found).startswith("blocks: blocking kept")
    assert str(found).endswith(f"({shown(__file__)}:{found.place.line})")
