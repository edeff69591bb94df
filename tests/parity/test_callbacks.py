"""call_soon, call_later, call_at: order, arguments, errors, handles."""

import asyncio
import contextvars
import gc
import sys
import weakref

import pytest

variable = contextvars.ContextVar("variable", default="default")


def run(loop):
    """Run until everything that is scheduled now, and what that schedules, is done."""
    loop.run_until_complete(asyncio.sleep(0.005))


def test_callbacks_run_in_the_order_they_were_scheduled(new_loop):
    loop = new_loop()
    ran = []
    for number in range(1000):
        loop.call_soon(ran.append, number)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == list(range(1000))


def test_what_a_callback_schedules_runs_after_what_was_scheduled_before(new_loop):
    loop = new_loop()
    ran = []
    loop.call_soon(lambda: (ran.append(1), loop.call_soon(ran.append, 3)))
    loop.call_soon(ran.append, 2)
    run(loop)
    assert ran == [1, 2, 3]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_callbacks_get_their_arguments(new_loop, count):
    loop = new_loop()
    got = []
    arguments = tuple(range(count))
    loop.call_soon(lambda *args: got.append(args), *arguments)
    loop.call_later(0.001, lambda *args: got.append(args), *arguments)
    loop.call_at(loop.time(), lambda *args: got.append(args), *arguments)
    loop.call_soon_threadsafe(lambda *args: got.append(args), *arguments)
    run(loop)
    assert got == [arguments] * 4


def test_a_callback_does_not_run_inside_call_soon(new_loop):
    loop = new_loop()
    ran = []
    loop.call_soon(lambda: (loop.call_soon(ran.append, "later"), ran.append("now")))
    run(loop)
    assert ran == ["now", "later"]


def test_a_cancelled_callback_does_not_run(new_loop):
    loop = new_loop()
    handles = [
        loop.call_soon(pytest.fail, "ran"),
        loop.call_soon_threadsafe(pytest.fail, "ran"),
        loop.call_later(0, pytest.fail, "ran"),
        loop.call_later(0.001, pytest.fail, "ran"),
        loop.call_at(loop.time() + 0.001, pytest.fail, "ran"),
    ]
    for handle in handles:
        assert not handle.cancelled()
        handle.cancel()
        handle.cancel()
        assert handle.cancelled()
    run(loop)


def test_a_ready_callback_can_be_cancelled_by_one_of_the_same_turn(new_loop):
    loop = new_loop()
    loop.call_soon(lambda: victim.cancel())
    victim = loop.call_soon(pytest.fail, "ran")
    run(loop)


def test_a_due_timer_can_be_cancelled_by_another_that_is_due(new_loop):
    loop = new_loop()
    ran = []
    handles = []

    def first_wins(number):
        ran.append(number)
        for handle in handles:
            handle.cancel()

    handles += [loop.call_later(0.001, first_wins, number) for number in range(3)]
    run(loop)
    assert len(ran) == 1


def test_cancelling_after_the_run_is_harmless(new_loop):
    loop = new_loop()
    handles = [loop.call_soon(int), loop.call_later(0, int), loop.call_later(0.001, int)]
    run(loop)
    for handle in handles:
        assert not handle.cancelled()
        handle.cancel()


def test_a_cancelled_handle_lets_go_of_callback_and_arguments(new_loop):
    class Thing:
        def __call__(self, *args):
            pytest.fail("ran")

    loop = new_loop()
    things = [Thing() for _ in range(4)]
    references = [weakref.ref(thing) for thing in things]
    handles = [loop.call_soon(things[0], things[1]), loop.call_later(3600, things[2], things[3])]
    things.clear()
    for handle in handles:
        handle.cancel()
    gc.collect()
    assert [reference() for reference in references] == [None] * 4
    run(loop)


def test_timers_run_in_the_order_of_their_deadlines(new_loop):
    loop = new_loop()
    ran = []
    now = loop.time()  # one for all: the machine may stand still between two calls
    for delay in (0.03, 0.01, 0.04, 0.02, 0):
        loop.call_at(now + delay, ran.append, delay)
    loop.run_until_complete(asyncio.sleep(0.06))
    assert ran == [0, 0.01, 0.02, 0.03, 0.04]


def test_timers_of_one_deadline_all_run(new_loop):
    loop = new_loop()
    ran = []
    when = loop.time() + 0.002
    for number in range(50):
        loop.call_at(when, ran.append, number)
    loop.run_until_complete(asyncio.sleep(0.02))
    assert sorted(ran) == list(range(50))


@pytest.mark.uvloop_differs(reason="what is overdue runs in the order of its scheduling")
def test_overdue_timers_run_oldest_first(new_loop):
    loop = new_loop()
    ran = []
    now = loop.time()
    for ago in (1, 3, 2):
        loop.call_at(now - ago, ran.append, ago)
    run(loop)
    assert ran == [3, 2, 1]


@pytest.mark.uvloop_differs(reason="its clock has a resolution of 1 ms")
def test_a_timer_is_never_early(new_loop):
    loop = new_loop()
    early = []

    def check(when):
        if loop.time() < when:
            early.append(when - loop.time())

    for tenth in range(1, 60):
        when = loop.time() + tenth * 0.000_37
        loop.call_at(when, check, when)
    loop.run_until_complete(asyncio.sleep(0.05))
    assert all(difference <= 1e-9 for difference in early), early


def test_a_negative_delay_is_due_at_once(new_loop):
    loop = new_loop()
    ran = []
    loop.call_later(-10, ran.append, 1)
    run(loop)
    assert ran == [1]


def test_call_later_needs_a_delay_and_call_at_a_time(new_loop):
    loop = new_loop()
    with pytest.raises(TypeError):
        loop.call_later(None, print)
    with pytest.raises(TypeError):
        loop.call_at(None, print)
    with pytest.raises(TypeError):
        loop.call_later("1", print)


@pytest.mark.uvloop_differs(reason="other texts")
def test_a_missing_delay_or_time_is_named(new_loop):
    loop = new_loop()
    with pytest.raises(TypeError, match="^delay must not be None$"):
        loop.call_later(None, print)
    with pytest.raises(TypeError, match="^when cannot be None$"):
        loop.call_at(None, print)


def test_timer_handles_tell_their_deadline(new_loop):
    loop = new_loop()
    when = loop.time() + 1000.5
    handle = loop.call_at(when, print)
    assert abs(handle.when() - when) < 0.01
    before = loop.time()
    later = loop.call_later(1000, print)
    assert before + 999 <= later.when() <= loop.time() + 1001
    handle.cancel()
    later.cancel()


@pytest.mark.uvloop_differs(reason="its handles are types of its own")
def test_handles_are_asyncio_handles(new_loop):
    loop = new_loop()
    soon = loop.call_soon(int)
    threadsafe = loop.call_soon_threadsafe(int)
    timers = [loop.call_later(0, int), loop.call_later(10, int), loop.call_at(loop.time(), int)]
    assert isinstance(soon, asyncio.Handle)
    assert isinstance(threadsafe, asyncio.Handle)
    assert not isinstance(soon, asyncio.TimerHandle)
    assert all(isinstance(timer, asyncio.TimerHandle) for timer in timers)
    for timer in timers:
        timer.cancel()
    run(loop)


@pytest.mark.uvloop_differs(reason="its handles have no order")
def test_timer_handles_compare_by_deadline(new_loop):
    loop = new_loop()
    now = loop.time()
    first, second = loop.call_at(now + 10, int), loop.call_at(now + 20, int)
    twin = loop.call_at(now + 10, int)
    assert first < second
    assert first <= second
    assert second > first
    assert second >= first
    assert first != second
    assert first == twin
    assert hash(first) == hash(first.when())
    for handle in (first, second, twin):
        handle.cancel()


def test_handles_take_weak_references(new_loop):
    loop = new_loop()
    for handle in (loop.call_soon(int), loop.call_later(10, int)):
        assert weakref.ref(handle)() is handle
        handle.cancel()


@pytest.mark.uvloop_differs(reason="its own repr")
def test_repr_of_a_handle_names_the_callback_until_it_is_cancelled(new_loop):
    def call_me():
        pass

    loop = new_loop()
    loop.set_debug(False)
    handle = loop.call_soon(call_me)
    assert repr(handle).startswith("<Handle ")
    assert "call_me() at " in repr(handle)
    handle.cancel()
    assert repr(handle) == "<Handle cancelled>"
    timer = loop.call_later(10, call_me)
    assert repr(timer).startswith(f"<TimerHandle when={timer.when()} ")
    timer.cancel()
    assert repr(timer).startswith("<TimerHandle cancelled")


@pytest.mark.uvloop_differs(reason="has no get_context()")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="Handle.get_context is new in Python 3.12")
def test_handles_give_their_context(new_loop):
    loop = new_loop()
    context = contextvars.copy_context()
    handles = [
        loop.call_soon(int, context=context),
        loop.call_later(10, int, context=context),
        loop.call_soon_threadsafe(int, context=context),
    ]
    for handle in handles:
        assert handle.get_context() is context
        handle.cancel()


def test_a_callback_runs_in_the_context_of_its_scheduling(new_loop):
    loop = new_loop()
    seen = []

    def schedule(value):
        variable.set(value)
        loop.call_soon(lambda: seen.append(variable.get()))
        loop.call_soon_threadsafe(lambda: seen.append(variable.get()))
        loop.call_later(0, lambda: seen.append(variable.get()))
        loop.call_at(loop.time(), lambda: seen.append(variable.get()))
        variable.set("changed after scheduling")

    contextvars.copy_context().run(schedule, "mine")
    run(loop)
    assert seen == ["mine"] * 4
    assert variable.get() == "default"


def test_a_callback_does_not_change_the_context_of_its_scheduling(new_loop):
    loop = new_loop()
    context = contextvars.copy_context()

    def schedule():
        loop.call_soon(variable.set, "changed")
        loop.call_later(0, variable.set, "changed")

    context.run(schedule)
    run(loop)
    assert variable not in context


def test_a_given_context_is_used_itself(new_loop):
    loop = new_loop()
    for schedule in (
        lambda context: loop.call_soon(variable.set, "soon", context=context),
        lambda context: loop.call_soon_threadsafe(variable.set, "soon", context=context),
        lambda context: loop.call_later(0, variable.set, "soon", context=context),
        lambda context: loop.call_at(loop.time(), variable.set, "soon", context=context),
    ):
        context = contextvars.copy_context()
        schedule(context)
        run(loop)
        assert context[variable] == "soon"


def test_many_cancelled_timers_are_forgotten(new_loop):
    class Thing:
        def __call__(self):
            pytest.fail("ran")

    loop = new_loop()
    references = []
    for _ in range(3000):
        thing = Thing()
        references.append(weakref.ref(thing))
        loop.call_later(3600, thing).cancel()
    del thing
    run(loop)
    gc.collect()
    assert not any(reference() for reference in references)


def test_a_timer_may_schedule_and_cancel_timers(new_loop):
    loop = new_loop()
    ran = []
    victims = [loop.call_later(3600, pytest.fail, "an hour passed") for _ in range(200)]

    def first():
        ran.append(1)
        for victim in victims:
            victim.cancel()
        loop.call_later(0.001, second)

    def second():
        ran.append(2)
        loop.stop()

    loop.call_later(0.001, first)
    loop.run_forever()
    assert ran == [1, 2]


def test_time_is_monotonic(new_loop):
    loop = new_loop()
    times = []
    for _ in range(20):
        loop.call_soon(lambda: times.append(loop.time()))
    run(loop)
    assert times == sorted(times)
    assert isinstance(times[0], float)


async def test_sleep_zero_lets_others_run():
    order = []

    async def worker(name):
        for _ in range(3):
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(worker("a"), worker("b"))
    assert order == ["a", "b"] * 3


async def test_a_timeout_ends_a_wait():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.sleep(3600), 0.001)
