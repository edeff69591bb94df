"""The exception handler's protocol, and complaints about wrong use."""

import asyncio
import functools
import inspect
import traceback
import types

import pytest

import loopkit
from loopkit import errors
from tests.support.pythons import drop


@pytest.fixture
def loop():
    loop = loopkit.EpollLoop()
    yield loop
    loop.close()


def test_a_failed_callback_is_reported_with_its_handle(loop, reports):
    loop.set_exception_handler(reports)

    def fails(number):
        raise LookupError(number)

    handle = loop.call_soon(fails, 7)
    loop.call_soon(loop.stop)
    loop.run_forever()
    [context] = reports
    assert context["handle"] is handle
    assert str(context["exception"]) == "7"
    assert context["message"].startswith("Exception in callback ")
    assert "fails" in context["message"]


def test_a_report_of_debug_mode_has_the_place_of_birth(loop, reports):
    loop.set_debug(True)
    loop.set_exception_handler(reports)
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(loop.stop)
    loop.run_forever()
    [context] = reports
    assert context["source_traceback"][-1].name == "test_a_report_of_debug_mode_has_the_place_of_birth"


def test_the_default_handler_logs_every_key_in_order(loop, asyncio_log):

    frames = traceback.extract_stack(limit=1)
    loop.call_exception_handler(
        {
            "message": "what",
            "zebra": 1,
            "apple": "a",
            "source_traceback": frames,
            "exception": LookupError("why"),
        }
    )
    [record] = asyncio_log
    lines = record.getMessage().splitlines()
    assert lines[0] == "what"
    assert lines[1] == "apple: 'a'"
    assert lines[2] == "source_traceback: Object created at (most recent call last):"
    assert lines[-1] == "zebra: 1"
    assert record.exc_info[0] is LookupError


def test_a_report_without_a_message_gets_one(loop, asyncio_log):
    loop.call_exception_handler({})
    assert asyncio_log[0].getMessage() == "Unhandled exception in event loop"
    assert not asyncio_log[0].exc_info


def test_a_handler_that_fails_is_reported_to_the_default_one(loop, asyncio_log):
    def bad_handler(loop, context):
        raise LookupError("in handler")

    loop.set_exception_handler(bad_handler)
    loop.call_exception_handler({"message": "first"})
    [record] = asyncio_log
    assert record.getMessage().startswith("Unhandled error in exception handler")
    assert "'message': 'first'" in record.getMessage()
    assert str(record.exc_info[1]) == "in handler"


@pytest.mark.parametrize("own", [True, False])
def test_a_default_handler_that_fails_is_logged(own, asyncio_log):
    class Loop(loopkit.EpollLoop):
        def default_exception_handler(self, context):
            raise LookupError("in default handler")

    loop = Loop()
    if own:
        loop.set_exception_handler(lambda *_: 1 / 0)
    loop.call_exception_handler({"message": "first"})
    loop.close()
    assert [record.getMessage() for record in asyncio_log] == [
        "Exception in default exception handler"
        + (" while handling an unexpected error in custom exception handler" if own else "")
    ]


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["handler", "default", "default after handler"])
def test_what_ends_the_program_leaves_every_handler(end, where):
    class Loop(loopkit.EpollLoop):
        def default_exception_handler(self, context):
            raise end

    loop = Loop()
    if where == "handler":
        loop.set_exception_handler(lambda *_: (_ for _ in ()).throw(end()))
    elif where == "default after handler":
        loop.set_exception_handler(lambda *_: 1 / 0)
    with pytest.raises(end):
        loop.call_exception_handler({"message": "x"})
    loop.close()


def test_the_handler_is_what_was_set(loop):
    assert loop.get_exception_handler() is None
    loop.set_exception_handler(print)
    assert loop.get_exception_handler() is print
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None
    with pytest.raises(TypeError, match="A callable object or None is expected, got 5"):
        loop.set_exception_handler(5)


async def a_coroutine_function():
    pass


@types.coroutine
def an_old_one():
    yield


def test_coroutines_are_told_from_callables():
    coroutine = a_coroutine_function()
    assert errors.is_coroutine(coroutine)
    coroutine.close()
    assert errors.is_coroutine(a_coroutine_function)
    assert errors.is_coroutine(functools.partial(a_coroutine_function))
    assert not errors.is_coroutine(print)
    assert not errors.is_coroutine(functools.partial(print))
    with pytest.raises(TypeError, match=r"coroutines cannot be used with call_soon\(\)"):
        errors.check_callback(a_coroutine_function, "call_soon")
    with pytest.raises(TypeError, match=r"a callable object was expected by call_at\(\), got None"):
        errors.check_callback(None, "call_at")
    errors.check_callback(print, "call_soon")


@pytest.mark.skipif(not hasattr(inspect, "markcoroutinefunction"), reason="Python 3.12")
def test_a_function_marked_as_a_coroutine_function_is_one():
    marked = inspect.markcoroutinefunction(lambda: a_coroutine_function())
    assert errors.is_coroutine(marked)


def test_no_loop_is_needed_to_report_a_future(loop, reports):
    """Futures that nobody asks report through the loop when they are collected."""
    loop.set_exception_handler(reports)
    future = loop.create_future()
    future.set_exception(LookupError("never asked"))
    del future
    drop()
    assert reports.messages == ["Future exception was never retrieved"]
    assert isinstance(reports[0]["future"], asyncio.Future)
