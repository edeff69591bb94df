"""Where exceptions of callbacks go: the exception handler, and the texts that programs match on.

Owns the exception handler's protocol and the complaints about wrong use of the loop. The texts are asyncio's
to the letter.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import traceback
from asyncio.format_helpers import _format_callback_source as format_callback
from asyncio.log import logger
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .handles import handle_of

if TYPE_CHECKING:
    from .loop import Loop

#: From 3.12 a report about the very handle that is running fails: its context is entered already. (Until
#: then asyncio called the handler in whatever context was there.)
FAILS_INSIDE = sys.version_info >= (3, 12)

ExceptionHandler = Callable[["asyncio.AbstractEventLoop", dict[str, Any]], object]


def callback_failed(loop: Loop, watcher: Any, exc: BaseException) -> None:
    """Report *exc*, which the callback of *watcher*, a handle or a transport, let out."""
    handle = handle_of(loop, watcher)
    callback, args = handle._callback, handle._args  # type: ignore[attr-defined]
    source = format_callback(callback, args)
    context = {"message": f"Exception in callback {source}", "exception": exc, "handle": handle}
    if handle._source_traceback:  # type: ignore[attr-defined]
        context["source_traceback"] = handle._source_traceback  # type: ignore[attr-defined]
    loop.call_exception_handler(context)


def get_exception_handler(loop: Loop) -> ExceptionHandler | None:
    """The handler set by `set_exception_handler`; None if the default one is in use."""
    return loop._exception_handler


def set_exception_handler(loop: Loop, handler: ExceptionHandler | None) -> None:
    """Pass exceptions that nobody caught to ``handler(loop, context)``; None restores the default handler.

    Raises TypeError if *handler* is neither callable nor None.
    """
    if handler is not None and not callable(handler):
        raise TypeError(f"A callable object or None is expected, got {handler!r}")
    loop._exception_handler = handler


def default_exception_handler(loop: Loop, context: dict[str, Any]) -> None:
    """Log *context* to the ``asyncio`` logger at level ERROR, with the traceback of its exception."""
    message = context.get("message") or "Unhandled exception in event loop"
    exception = context.get("exception")
    exc_info: Any = (type(exception), exception, exception.__traceback__) if exception is not None else False

    current = loop._current_handle
    if "source_traceback" not in context and current is not None and current._source_traceback:  # type: ignore[attr-defined]
        context["handle_traceback"] = current._source_traceback  # type: ignore[attr-defined]

    lines = [message]
    for key in sorted(context):
        if key in {"message", "exception"}:
            continue
        value = context[key]
        if key in {"source_traceback", "handle_traceback"}:
            whose = "Object" if key == "source_traceback" else "Handle"
            frames = "".join(traceback.format_list(value)).rstrip()
            text = f"{whose} created at (most recent call last):\n{frames}"
        else:
            text = repr(value)
        lines.append(f"{key}: {text}")
    logger.error("\n".join(lines), exc_info=exc_info)


def call_exception_handler(loop: Loop, context: dict[str, Any]) -> None:
    """Pass *context* to the exception handler, in the context of the task, future or handle it is about.

    Never raises anything but SystemExit and KeyboardInterrupt: an error in a handler set by the program goes
    to the default handler, and an error there to the ``asyncio`` logger.
    """
    handler = loop._exception_handler
    if handler is None:
        try:
            loop.default_exception_handler(context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            logger.error("Exception in default exception handler", exc_info=True)
        return
    try:
        culprit = context.get("task") or context.get("future") or context.get("handle")
        get_context = getattr(culprit, "get_context", None)
        where = get_context() if get_context is not None else None
        if where is not None and hasattr(where, "run") and (FAILS_INSIDE or _can_be_entered(where)):
            where.run(handler, loop, context)
        else:
            handler(loop, context)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as exc:
        try:
            loop.default_exception_handler(
                {"message": "Unhandled error in exception handler", "exception": exc, "context": context}
            )
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            logger.error(
                "Exception in default exception handler while handling an unexpected error "
                "in custom exception handler",
                exc_info=True,
            )


def _can_be_entered(context: Any) -> bool:
    try:
        context.run(int)
    except RuntimeError:
        return False
    return True


def check_callback(callback: object, method: str) -> None:
    """Raise TypeError unless *callback* is something that *method* can call."""
    if is_coroutine(callback):
        raise TypeError(f"coroutines cannot be used with {method}()")
    if not callable(callback):
        raise TypeError(f"a callable object was expected by {method}(), got {callback!r}")


def is_coroutine(callback: object) -> bool:
    """Whether *callback* is a coroutine or a coroutine function: calling it would do nothing."""
    # Marked functions (`types.coroutine`, `inspect.markcoroutinefunction`) count too;
    # asyncio.iscoroutinefunction is deprecated from 3.14 and gone in 3.16.
    return asyncio.iscoroutine(callback) or inspect.iscoroutinefunction(callback)
