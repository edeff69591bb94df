"""Handles beside asyncio's own."""

import asyncio
import contextvars
import gc
import weakref

import pytest

import loopkit


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    loop.set_debug(False)  # whose handles are asyncio's own
    yield loop
    loop.close()


def callback(*args):
    pass


def pairs(loop):
    """Our handles, in every way they come into being, each with asyncio's twin."""
    context = contextvars.copy_context()
    yield loop.call_soon(callback, 1, 2, context=context), asyncio.Handle(callback, (1, 2), loop, context)
    yield loop.call_soon_threadsafe(callback), asyncio.Handle(callback, (), loop, context)
    yield loop._new_handle(callback, (3,), context), asyncio.Handle(callback, (3,), loop, context)
    timer = asyncio.TimerHandle(99.5, callback, ("x",), loop, context)
    timer._scheduled = True
    yield loop.call_at(99.5, callback, "x", context=context), timer


PUBLIC = ["cancelled", "get_context", "when"]
SLOTS = ["_callback", "_args", "_cancelled", "_loop", "_source_traceback", "_repr", "_when", "_scheduled"]


def test_a_handle_behaves_as_asyncios(loop):
    for ours, theirs in pairs(loop):
        for cancelled in (False, True):
            if cancelled:
                ours.cancel()
                theirs.cancel()
            for name in SLOTS:
                assert getattr(ours, name, "absent") == getattr(theirs, name, "absent"), (name, cancelled)
            assert ours.cancelled() is theirs.cancelled() is cancelled
            name = type(ours).__name__
            assert repr(ours) == repr(theirs).replace(type(theirs).__name__, name)


def test_handles_are_asyncio_handles(loop):
    assert isinstance(loop.call_soon(callback), asyncio.Handle)
    assert isinstance(loop.call_later(1, callback), asyncio.TimerHandle)
    assert not isinstance(loop.call_soon(callback), asyncio.TimerHandle)


def test_a_handle_knows_its_context(loop):
    variable = contextvars.ContextVar("variable")
    variable.set("mine")
    handle = loop.call_soon(callback)
    variable.set("changed")
    assert handle.get_context()[variable] == "mine"


def test_timers_are_ordered_by_time_and_equal_by_content(loop):
    early, late = loop.call_at(1.0, callback), loop.call_at(2.0, callback)
    twin = loop.call_at(1.0, callback)
    assert early < late
    assert late > early
    assert early <= twin >= early
    assert early == twin
    assert early != late
    assert hash(early) == hash(1.0)
    assert sorted([late, early]) == [early, late]
    assert (early == 1.0) is False


def test_timers_compare_with_asyncios(loop):
    ours, theirs = loop.call_at(1.0, callback), asyncio.TimerHandle(2.0, callback, (), loop)
    assert ours < theirs
    assert theirs > ours
    assert ours != theirs


def test_plain_handles_are_equal_to_themselves_only(loop):
    one, two = loop.call_soon(callback), loop.call_soon(callback)
    assert one == one
    assert one != two
    assert len({one, two}) == 2


def test_a_cancelled_handle_lets_go_of_what_it_held(loop):
    class Big:
        pass

    big = Big()
    gone = weakref.ref(big)
    handles = [loop.call_soon(callback, big), loop.call_later(1000, callback, big)]
    del big
    for handle in handles:
        handle.cancel()
    gc.collect()
    assert gone() is None
    assert "cancelled" in repr(handles[0])


def test_cancelling_twice_is_harmless(loop):
    for handle, _ in pairs(loop):
        handle.cancel()
        handle.cancel()
        assert handle.cancelled()
    assert loop._timers.cancelled == 1


def test_a_handle_can_be_referenced_weakly(loop):
    handle = loop.call_soon(callback)
    assert weakref.ref(handle)() is handle


def test_a_handle_has_no_dict(loop):
    """Four slots are what makes it cheap."""
    assert not hasattr(loop.call_soon(callback), "__dict__")
    assert not hasattr(loop.call_later(1, callback), "__dict__")


def test_running_a_handle_by_hand_works(loop):
    """Tools do that: they wrap `Handle._run`."""
    ran = []
    handle = loop.call_soon(ran.append, 1)
    handle._run()
    handle.cancel()
    assert ran == [1]


def test_debug_mode_makes_handles_with_a_traceback(loop):
    loop.set_debug(True)
    for handle in (
        loop.call_soon(callback),
        loop.call_soon_threadsafe(callback),
        loop.call_later(1, callback),
        loop.call_at(1, callback),
    ):
        assert handle._source_traceback[-1].name == "test_debug_mode_makes_handles_with_a_traceback"
        assert "created at" in repr(handle)
