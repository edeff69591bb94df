"""The turn: its order, its bounds, and what it leaves behind. (What asyncio does too is in tests/parity.)"""

import asyncio
import contextvars
import gc
import os
import sys
import threading
import time
import weakref

import pytest

import loopkit
from loopkit import loop as module
from loopkit import timers
from tests.shape.counting import CountingLoop
from tests.support.net import unix_pair
from tests.support.pythons import collect, cpython_only


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    yield loop
    loop.close()


def turns(loop, count=1):
    """Run so many turns and no more."""
    for _ in range(count):
        loop.stop()
        loop.run_forever()


# -- run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [(), (1,), (1, 2), (1, 2, 3)])
def test_a_callback_gets_its_arguments(loop, args):
    got = []

    def callback(*args):
        got.append(args)

    loop.call_soon(callback, *args)
    loop.call_soon_threadsafe(callback, *args)
    loop.call_later(0, callback, *args)
    with unix_pair() as (ours, theirs):
        loop.add_writer(ours, lambda *args: (got.append(args), loop.remove_writer(ours)), *args)
        loop.call_later(0, loop.stop)
        loop.run_forever()
    assert got == [args] * 4


@cpython_only("a context is copied in C")
def test_call_soon_is_one_frame(loop):
    loop.set_debug(False)
    frames = []
    sys.setprofile(lambda frame, event, arg: frames.append(frame.f_code.co_name) if event == "call" else None)
    try:
        loop.call_soon(int)
    finally:
        sys.setprofile(None)
    assert frames == ["call_soon"]


@cpython_only("a context is copied in C")
@pytest.mark.parametrize(
    ("method", "entered"), [("call_later", ["call_later", "time"]), ("call_at", ["call_at"])]
)
def test_setting_a_timer_is_one_frame_and_the_clocks(loop, method, entered):
    loop.set_debug(False)
    frames = []
    sys.setprofile(lambda frame, event, arg: frames.append(frame.f_code.co_name) if event == "call" else None)
    try:
        getattr(loop, method)(1000, int)
    finally:
        sys.setprofile(None)
    assert frames == entered


def test_a_turn_goes_on_with_what_it_made_ready_but_not_for_ever():
    """At most ROUNDS turns without a poll, before the descriptors are looked at."""
    loop = CountingLoop()
    loop.frozen = True
    ran = []

    with unix_pair() as (ours, theirs):
        seen = []

        def again(depth):
            if not depth:
                theirs.send(b"x")  # the first turn has polled already
            ran.append(depth)
            loop.call_soon(again, depth + 1)

        loop.add_reader(ours, lambda: (seen.append(len(ran)), loop.stop()))
        loop.call_soon(again, 0)
        loop.run_forever()
        loop.remove_reader(ours)
    assert seen == [module.ROUNDS + 2]
    loop.close()


def test_a_turn_that_takes_long_is_not_prolonged():
    """The limit of time: after it, what is ready waits for the descriptors to be looked at."""

    class Slow(loopkit.EpollLoop):
        now = 0.0

        def time(self):
            Slow.now += module.ROUNDS_SECONDS  # every look at the clock finds so much gone
            return Slow.now

    loop = Slow()
    ran = []

    def again():
        ran.append(1)
        loop.call_soon(again)

    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        seen = []
        loop.add_reader(ours, lambda: (seen.append(len(ran)), loop.stop()))
        loop.call_soon(again)
        loop.run_forever()
        loop.remove_reader(ours)
    assert seen[0] <= 3
    loop.close()


def test_a_timer_that_has_become_due_comes_after_what_was_ready_before_it_was_noticed(loop):
    order = []

    def first():
        order.append("ready")
        loop.call_at(loop.time() - 1, order.append, "timer")
        loop.call_soon(second)

    def second():
        order.append("made ready")
        loop.stop()

    loop.call_soon(first)
    loop.run_forever()
    assert order == ["ready", "made ready", "timer"]


def test_a_callback_cancelled_by_an_earlier_one_of_its_turn_does_not_run(loop):
    ran = []
    handles = []
    loop.call_soon(lambda: [handle.cancel() for handle in handles])
    handles.append(loop.call_soon(ran.append, "soon"))
    handles.append(loop.call_at(0, ran.append, "timer"))
    turns(loop, 2)
    assert ran == []


def test_nothing_of_a_turn_is_kept_alive_while_the_loop_sleeps(loop):
    class Big:
        pass

    def use(big):
        pass

    big = Big()
    gone = weakref.ref(big)
    loop.call_soon(use, big)
    loop.call_later(0, use, big)
    del big
    seen = []

    def look():
        gc.collect()
        seen.append(gone())
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=lambda: (asleep(loop), look()))
    thread.start()
    loop.run_forever()
    thread.join()
    assert seen == [None]


def asleep(loop):
    """Wait, in another thread, until the loop sleeps in its poll with nothing to do."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if loop.is_running() and loop._idle and not loop._ready and not loop._timers.heap:
            return
        time.sleep(0.001)
    raise AssertionError("the loop never sleeps")


# -- poll ----------------------------------------------------------------------------------------------------


class Timeouts:
    """A poller that notes the timeouts it is given, and never waits."""

    name, limit = "timeouts", None

    def __init__(self, owned=()):
        self.seen = []

    def poll(self, timeout):
        self.seen.append(timeout)
        return []

    def register(self, fd, mask):
        pass

    modify = register

    def unregister(self, fd):
        pass

    def close(self):
        pass


@pytest.fixture
def patient(loop, monkeypatch):
    """A loop whose poller only notes; its clock moves when the test says so."""
    poller = Timeouts()
    loop._watches.poller.close()
    loop._watches.poller, loop._watches.poll = poller, poller.poll
    monkeypatch.setattr(type(loop), "time", staticmethod(lambda: clock[0]))
    clock = [1000.0]
    loop.clock = clock
    loop.timeouts = poller.seen
    return loop


def test_with_something_ready_it_does_not_wait(patient):
    patient.call_soon(patient.call_soon, patient.stop)
    patient.run_forever()
    assert set(patient.timeouts) == {0}


def test_with_a_timer_it_waits_until_then(patient):
    patient.call_at(1007.5, patient.stop)
    patient.call_at(1003.0, int).cancel()
    real = patient._watches.poll
    patient._watches.poll = lambda timeout: (patient.clock.__setitem__(0, 1008.0), real(timeout))[1]
    patient.run_forever()
    assert patient.timeouts == [7.5]


def test_an_overdue_timer_is_not_waited_for(patient):
    patient.call_at(1.0, patient.stop)
    patient.run_forever()
    assert patient.timeouts == [0]


def test_a_timer_far_away_is_waited_for_in_steps(patient):
    patient.call_at(1e9, int)
    real = patient._watches.poll
    patient._watches.poll = lambda timeout: (patient.call_soon(patient.stop), real(timeout))[1]
    patient.run_forever()
    assert patient.timeouts[0] == timers.LONGEST_POLL


def test_with_nothing_to_do_it_waits_for_ever(patient):
    real = patient._watches.poll
    patient._watches.poll = lambda timeout: (patient.call_soon(patient.stop), real(timeout))[1]
    patient.run_forever()
    assert patient.timeouts[0] is None


def test_the_loop_is_idle_in_its_poll_and_nowhere_else(loop):
    seen = []
    real = loop._watches.poll
    loop._watches.poll = lambda timeout: (seen.append(("poll", loop._idle)), real(timeout))[1]
    assert loop._idle is True
    loop.call_soon(lambda: seen.append(("callback", loop._idle)))
    loop.call_later(0, lambda: (seen.append(("timer", loop._idle)), loop.stop()))
    loop.run_forever()
    assert set(seen) == {("poll", True), ("callback", False), ("timer", False)}
    assert loop._idle is True


# -- timers --------------------------------------------------------------------------------------------------


def test_equal_deadlines_fire_in_the_order_of_the_calls(loop):
    when, order = loop.time() + 0.001, []
    for number in range(50):
        loop.call_at(when, order.append, number)
    loop.call_at(when, loop.stop)
    loop.run_forever()
    assert order == list(range(50))


def test_a_timer_that_asks_for_now_again_waits_for_the_next_turn(loop):
    order = []

    def again():
        order.append("timer")
        loop.call_at(0, again)
        loop.call_soon(order.append, "ready")

    loop.call_at(0, again)
    turns(loop, 3)
    assert order == ["timer", "ready", "timer", "ready", "timer"]


@pytest.mark.parametrize("when", ["soon", [], b"1"])
def test_a_time_that_is_no_number_is_refused_at_once(loop, when):
    with pytest.raises(TypeError):
        loop.call_at(when, int)
    with pytest.raises(TypeError):
        loop.call_later(when, int)
    assert loop._timers.heap == []


def test_whole_numbers_and_their_like_are_times(loop):
    ran = []
    loop.call_at(0, ran.append, 1)
    loop.call_at(False, ran.append, 2)
    loop.call_later(0, ran.append, 3)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert ran == [1, 2, 3]


# -- stop and exceptions -------------------------------------------------------------------------------------


def test_stop_finishes_the_turn_and_leaves_the_rest(loop):
    order = []

    def first():
        order.append(1)
        loop.stop()
        loop.call_soon(order.append, 3)

    loop.call_soon(first)
    loop.call_soon(order.append, 2)
    loop.run_forever()
    assert order == [1, 2]
    turns(loop)
    assert order == [1, 2, 3]


def test_stop_before_running_is_one_turn_with_io_and_timers(loop):
    ran = []
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        loop.add_reader(ours, ran.append, "io")
        loop.call_at(0, ran.append, "timer")
        loop.call_soon(ran.append, "ready")
        turns(loop)
        assert ran == ["ready", "io", "timer"]
        loop.remove_reader(ours)


def test_a_round_that_was_cut_short_leaves_nothing_behind(loop):
    ran = []

    def interrupt():
        raise KeyboardInterrupt

    for callback in (lambda: ran.append(1), interrupt, lambda: ran.append(2)):
        loop.call_soon(callback)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert ran == [1]
    loop.call_soon(lambda: ran.append(3))
    turns(loop)
    assert ran == [1, 2, 3]
    assert not loop._ready  # or the loop would go on and never sleep again


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["ready", "reader", "writer", "timer"])
@pytest.mark.parametrize("debug", [False, True])
def test_what_ends_the_program_leaves_the_loop_usable(loop, end, where, debug):
    loop.set_debug(debug)

    def bang():
        loop.remove_reader(ours)
        loop.remove_writer(ours)
        raise end

    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        if where == "ready":
            loop.call_soon(bang)
        elif where == "timer":
            loop.call_at(0, bang)
        else:
            getattr(loop, f"add_{where}")(ours, bang)
        with pytest.raises(end):
            loop.run_forever()
        assert not loop.is_running()
        assert asyncio._get_running_loop() is None
        assert loop.run_until_complete(asyncio.sleep(0, "fine")) == "fine"


@pytest.mark.parametrize("where", ["ready", "reader", "writer", "timer"])
@pytest.mark.parametrize("debug", [False, True])
def test_any_other_exception_is_reported_and_the_turn_goes_on(loop, reports, where, debug):
    loop.set_debug(debug)
    loop.set_exception_handler(reports)
    went_on = []

    class Unusual(BaseException):
        pass

    def bang():
        loop.remove_reader(ours)
        loop.remove_writer(ours)
        raise Unusual

    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        if where == "ready":
            loop.call_soon(bang)
        elif where == "timer":
            loop.call_at(0, bang)
        else:
            getattr(loop, f"add_{where}")(ours, bang)
        loop.call_soon(went_on.append, 1)
        loop.call_at(0, went_on.append, 2)
        turns(loop, 2)
    assert [type(exc) for exc in reports.exceptions] == [Unusual]
    assert went_on == [1, 2]


def test_each_callback_runs_in_the_context_it_was_scheduled_in(loop):
    variable = contextvars.ContextVar("variable", default="outside")
    seen = []

    def schedule(value):
        variable.set(value)
        loop.call_soon(lambda: seen.append(variable.get()))
        loop.call_at(0, lambda: seen.append(variable.get()))

    contextvars.copy_context().run(schedule, "one")
    contextvars.copy_context().run(schedule, "two")
    explicit = contextvars.Context()
    loop.call_soon(lambda: seen.append(variable.get()), context=explicit)
    turns(loop)
    assert seen == ["one", "two", "outside", "one", "two"]
    assert variable.get() == "outside"


# -- life ----------------------------------------------------------------------------------------------------


def test_the_repr_tells_its_state(loop):
    loop.set_debug(False)
    assert repr(loop) == "<EpollLoop poller=epoll running=False closed=False debug=False>"


def test_the_state_is_in_slots_and_programs_may_add_to_it(loop):
    assert "_ready" not in vars(loop)
    loop.note = "a tool was here"
    assert loop.note == "a tool was here"


def test_a_loop_with_a_wrong_poller_is_closed_and_does_not_complain(monkeypatch):
    monkeypatch.setenv("LOOPKIT_POLLER", "wrong")
    with pytest.raises(ValueError, match="wrong"):
        loopkit.Loop()
    gc.collect()


def test_a_closed_loop_lets_go_of_everything():
    class Big:
        pass

    loop, big = loopkit.EpollLoop(), Big()
    gone = weakref.ref(big)
    with unix_pair() as (ours, theirs):
        loop.call_soon(print, big)
        loop.call_later(100, print, big)
        loop.add_reader(ours, print, big)
        loop.set_exception_handler(None)
        del big
        loop.close()
    gc.collect()
    assert gone() is None
    for method in (loop.call_soon, loop.call_soon_threadsafe):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            method(int)
    for method in (loop.call_later, loop.call_at):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            method(1, int)


def test_a_loop_is_collected_without_help():
    loop = loopkit.EpollLoop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    gone = weakref.ref(loop)
    del loop
    collect()
    assert gone() is None


def test_it_gives_all_descriptors_back():
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        loop = loopkit.EpollLoop()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_debug_mode_can_be_switched_while_the_loop_runs(loop):
    """The switch ends the plain turn and goes on with the observed one; nothing runs twice or never."""
    order = []
    loop.set_debug(False)

    async def main():
        for number in range(6):
            loop.set_debug(number % 2 == 0)
            order.append(number)
            loop.call_soon(order.append, f"after {number}")
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)

    loop.run_until_complete(main())
    assert order == [item for number in range(6) for item in (number, f"after {number}")]


def test_debug_mode_follows_the_environment(monkeypatch):
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    loop = loopkit.EpollLoop()
    assert loop.get_debug() is True
    loop.close()


def test_a_replaced_handle_run_is_called(loop, monkeypatch):
    """Slow-callback monitors time callbacks so; the observed turn obeys them, outside debug mode too."""
    seen = []
    stock = asyncio.Handle._run

    def timed(handle):
        seen.append(handle)
        return stock(handle)

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    handle = loop.call_soon(int)
    turns(loop)
    assert seen == [handle]
