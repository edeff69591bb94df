"""Where exceptions of callbacks and tasks go."""

import asyncio
import contextvars
import gc
import logging
import sys

import pytest

from tests.support.net import unix_pair

variable = contextvars.ContextVar("variable", default="default")


class Failure(Exception):
    pass


def fail():
    raise Failure("as told")


def run(loop):
    loop.run_until_complete(asyncio.sleep(0.003))


def test_there_is_no_handler_at_first(new_loop):
    loop = new_loop()
    assert loop.get_exception_handler() is None
    loop.set_exception_handler(print)
    assert loop.get_exception_handler() is print
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None


def test_the_handler_must_be_callable_or_none(new_loop):
    with pytest.raises(TypeError, match="A callable object or None is expected, got 'spam'"):
        new_loop().set_exception_handler("spam")


@pytest.mark.parametrize("how", ["call_soon", "call_later", "call_at", "call_soon_threadsafe"])
def test_an_exception_of_a_callback_reaches_the_handler(new_loop, reports, how):
    loop = new_loop()
    loop.set_exception_handler(reports)
    first = {"call_later": (0.001,), "call_at": (loop.time(),)}.get(how, ())
    handle = getattr(loop, how)(*first, fail)
    run(loop)
    assert len(reports) == 1
    assert reports[0]["message"].startswith("Exception in callback ")
    assert "fail" in reports[0]["message"]
    assert isinstance(reports[0]["exception"], Failure)
    assert reports[0]["handle"] is handle


def test_the_callbacks_after_it_still_run(new_loop, reports):
    loop = new_loop()
    loop.set_exception_handler(reports)
    ran = []
    for number in range(3):
        loop.call_soon(fail)
        loop.call_soon(ran.append, number)
    run(loop)
    assert ran == [0, 1, 2]
    assert len(reports) == 3


@pytest.mark.parametrize("direction", ["reader", "writer"])
def test_an_exception_of_a_reader_or_writer_reaches_the_handler(new_loop, reports, direction):
    loop = new_loop()
    loop.set_exception_handler(reports)
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")

        def callback():
            getattr(loop, f"remove_{direction}")(ours)
            raise Failure

        getattr(loop, f"add_{direction}")(ours, callback)
        run(loop)
    assert len(reports) == 1
    assert reports[0]["message"].startswith("Exception in callback ")
    assert isinstance(reports[0]["exception"], Failure)
    assert "handle" in reports[0]


@pytest.mark.parametrize("error", [GeneratorExit, asyncio.CancelledError, BaseException])
def test_so_does_a_base_exception_that_does_not_end_the_program(new_loop, reports, error):
    def raise_it():
        raise error

    loop = new_loop()
    loop.set_exception_handler(reports)
    loop.call_soon(raise_it)
    loop.call_later(0, raise_it)
    run(loop)
    assert [type(exception) for exception in reports.exceptions] == [error, error]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_passes_the_handler_by(new_loop, reports, error):
    def end():
        raise error

    loop = new_loop()
    loop.set_exception_handler(reports)
    loop.call_soon(end)
    with pytest.raises(error):
        loop.run_forever()
    assert reports == []


def test_without_a_handler_it_is_logged(new_loop, asyncio_log):
    loop = new_loop()
    loop.call_soon(fail)
    run(loop)
    (record,) = asyncio_log
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("Exception in callback ")
    assert "handle: <Handle" in record.getMessage()
    assert record.exc_info[0] is Failure


def test_a_handler_may_call_the_default_one(new_loop, asyncio_log):
    loop = new_loop()
    loop.set_exception_handler(lambda loop, context: loop.default_exception_handler(context))
    loop.call_soon(fail)
    run(loop)
    assert len(asyncio_log) == 1


def test_the_default_handler_writes_down_all_that_it_is_told(new_loop, asyncio_log):
    loop = new_loop()
    loop.default_exception_handler({"message": "it happened", "zeta": 1, "alpha": [2]})
    assert asyncio_log[0].getMessage() == "it happened\nalpha: [2]\nzeta: 1"
    assert not asyncio_log[0].exc_info


def test_the_default_handler_needs_no_message(new_loop, asyncio_log):
    loop = new_loop()
    loop.call_exception_handler({"exception": Failure("no")})
    assert asyncio_log[0].getMessage() == "Unhandled exception in event loop"
    assert asyncio_log[0].exc_info[0] is Failure


def test_a_handler_that_fails_is_reported_with_what_it_was_told(new_loop, asyncio_log):
    loop = new_loop()

    def bad(loop, context):
        raise LookupError("in the handler")

    loop.set_exception_handler(bad)
    loop.call_exception_handler({"message": "first"})
    (record,) = asyncio_log
    assert record.getMessage().startswith("Unhandled error in exception handler")
    assert "first" in record.getMessage()
    assert record.exc_info[0] is LookupError
    run(loop)


def test_a_default_handler_that_fails_is_reported_too(new_loop, asyncio_log):
    loop = new_loop()
    loop.default_exception_handler = lambda context: fail()
    loop.call_exception_handler({"message": "first"})
    assert asyncio_log[0].getMessage() == "Exception in default exception handler"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_handler_may_end_the_program(new_loop, error):
    loop = new_loop()

    def end(loop, context):
        raise error

    loop.set_exception_handler(end)
    loop.call_soon(fail)
    with pytest.raises(error):
        loop.run_forever()
    loop.set_exception_handler(None)
    run(loop)


def test_the_handler_gets_the_loop(new_loop):
    loop = new_loop()
    got = []
    loop.set_exception_handler(lambda *args: got.append(args))
    context = {"message": "m"}
    loop.call_exception_handler(context)
    assert got == [(loop, context)]


@pytest.mark.uvloop_differs(
    reason="runs the handler in the context of the caller", when=sys.version_info >= (3, 12)
)
@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in Python 3.12")
def test_the_handler_runs_in_the_context_of_what_failed(new_loop):
    loop = new_loop()
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append(variable.get()))

    async def task():
        variable.set("of the task")
        raise Failure

    def schedule():
        variable.set("of the handle")
        loop.call_soon(fail)
        loop.call_later(0, fail)

    async def main():
        contextvars.copy_context().run(schedule)
        failed = loop.create_task(task())
        await asyncio.sleep(0.003)
        del failed
        gc.collect()

    loop.run_until_complete(main())
    assert seen == ["of the handle", "of the handle", "of the task"]


def test_an_exception_that_nobody_retrieves_is_reported(new_loop, reports):
    loop = new_loop()
    loop.set_exception_handler(reports)

    async def task():
        raise Failure

    async def main():
        loop.create_task(task())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    loop.run_until_complete(main())
    assert reports.messages == ["Task exception was never retrieved"]


def test_a_future_whose_exception_nobody_retrieves_is_reported(new_loop, reports):
    loop = new_loop()
    loop.set_exception_handler(reports)
    loop.create_future().set_exception(Failure())
    gc.collect()
    assert reports.messages == ["Future exception was never retrieved"]


def test_a_pending_task_that_is_destroyed_is_reported(new_loop, reports):
    loop = new_loop()
    loop.set_exception_handler(reports)

    async def main():
        async def wait():
            await loop.create_future()

        loop.create_task(wait())
        await asyncio.sleep(0)
        gc.collect()

    loop.run_until_complete(main())
    gc.collect()
    assert reports.messages == ["Task was destroyed but it is pending!"]


@pytest.mark.uvloop_differs(
    reason="its handles have no context of their own", when=sys.version_info >= (3, 12)
)
def test_a_report_about_the_running_handle(new_loop, reports, asyncio_log):
    """From 3.12 asyncio wants to run the handler in the handle's context, in which it is already."""
    loop = new_loop()
    loop.set_exception_handler(reports)

    def callback():
        loop.call_exception_handler({"message": "heard", "handle": handle})

    handle = loop.call_soon(callback)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert reports.messages == ([] if sys.version_info >= (3, 12) else ["heard"])
    assert len(asyncio_log) == (1 if sys.version_info >= (3, 12) else 0)
