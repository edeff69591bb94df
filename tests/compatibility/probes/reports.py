"""Errors nobody caught, and debug mode."""

import asyncio
import contextlib
import logging
import sys

import pytest

from ..registry import probe, same


@contextlib.contextmanager
def _logged():
    """The records of asyncio's logger, which go no further than here."""
    records, logger = [], logging.getLogger("asyncio")

    def keep(record):
        records.append(record)
        return False

    logger.addFilter(keep)
    try:
        yield records
    finally:
        logger.removeFilter(keep)


def _first_lines(record, count):
    """Of the message; in debug mode more may follow."""
    return record.getMessage().splitlines()[:count]


def _collect(loop):
    """Set an exception handler; the list of contexts that it gets."""
    contexts = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    return contexts


@probe("set_exception_handler", "hears what a callback raises")
async def set_exception_handler(loop):
    contexts = _collect(loop)
    handle = loop.call_soon(int, "x")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    same([type(context["exception"]) for context in contexts], [ValueError])
    same(contexts[0]["handle"] is handle, True)


@probe("set_exception_handler", "None restores the default")
async def set_exception_handler_none(loop):
    contexts = _collect(loop)
    loop.set_exception_handler(None)
    with _logged() as records:
        loop.call_exception_handler({"message": "hello"})
    same([_first_lines(record, 1) for record in records], [["hello"]])
    same(contexts, [])


@probe("set_exception_handler", "TypeError for what cannot be called")
async def set_exception_handler_wrong(loop):
    with pytest.raises(TypeError):
        loop.set_exception_handler("handler")


@probe("get_exception_handler", "what was set")
async def get_exception_handler(loop):
    def handler(loop, context):
        pass

    same(loop.get_exception_handler(), None)
    loop.set_exception_handler(handler)
    same(loop.get_exception_handler(), handler)


@probe("default_exception_handler", "logs message, context and traceback")
async def default_exception_handler(loop):
    error = LookupError("no")
    with _logged() as records:
        loop.default_exception_handler({"message": "hello", "exception": error, "extra": 42})
    same([record.levelno for record in records], [logging.ERROR])
    same(_first_lines(records[0], 2), ["hello", "extra: 42"])
    same(records[0].exc_info[1], error)


@probe("call_exception_handler", "calls the handler")
async def call_exception_handler(loop):
    contexts, given = _collect(loop), {"message": "hello"}
    loop.call_exception_handler(given)
    same(contexts, [given])


@probe("call_exception_handler", "logs when the handler fails")
async def call_exception_handler_fails(loop):
    def handler(loop, context):
        raise LookupError("no")

    loop.set_exception_handler(handler)
    with _logged() as records:
        loop.call_exception_handler({"message": "hello"})
    same(records[0].getMessage().startswith("Unhandled error in exception handler"), True)


@probe("get_debug", "what set_debug() set")
async def get_debug(loop):
    before = loop.get_debug()
    loop.set_debug(not before)
    same(loop.get_debug(), not before)
    loop.set_debug(before)
    same(loop.get_debug(), before)


@probe("set_debug", "call_soon() from another thread is refused")
async def set_debug_threads(loop):
    def call():
        with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
            loop.call_soon(print)

    loop.set_debug(True)
    await loop.run_in_executor(None, call)


@probe("set_debug", "where coroutines were made")
async def set_debug_origin(loop):
    loop.set_debug(False)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    before = sys.get_coroutine_origin_tracking_depth()
    loop.set_debug(True)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    same(sys.get_coroutine_origin_tracking_depth() > before, True)


@probe("set_debug", "slow callbacks are logged")
async def set_debug_slow(loop):
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    with _logged() as records:
        loop.call_soon(int)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.slow_callback_duration = 100
    same(any("took" in record.getMessage() for record in records), True)
