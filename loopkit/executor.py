"""Work for other threads: the default executor, and name resolution, which blocks and therefore goes there.

Addresses that need no resolver are answered on the spot: `getaddrinfo("127.0.0.1", 80)` must not wait for a
thread that is stuck in somebody else's slow name server.
"""

from __future__ import annotations

import asyncio
import concurrent.futures  # whose thread pool is only loaded when it is asked for
import socket
import threading
import warnings
from asyncio.log import logger
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from .errors import check_callback

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from .loop import Loop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def run_in_executor(
    loop: Loop, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
) -> asyncio.Future[T]:
    """Call ``func(*args)`` in *executor* (None: the default one) and return a future of its result.

    Raises RuntimeError if the loop is closed or the default executor was shut down.
    """
    loop._check_closed()
    if loop._debug:
        check_callback(func, "run_in_executor")
    if executor is None:
        if loop._executor_shutdown_called:
            raise RuntimeError("Executor shutdown has been called")
        executor = loop._default_executor
        if executor is None:
            executor = loop._default_executor = concurrent.futures.ThreadPoolExecutor(
                thread_name_prefix="asyncio"
            )
    return asyncio.wrap_future(executor.submit(func, *args), loop=loop)


def set_default_executor(loop: Loop, executor: Executor) -> None:
    """Have `run_in_executor(None, ...)` use *executor*.

    Raises TypeError unless *executor* is a `concurrent.futures.ThreadPoolExecutor`.
    """
    if not isinstance(executor, concurrent.futures.ThreadPoolExecutor):
        raise TypeError("executor must be ThreadPoolExecutor instance")
    loop._default_executor = executor


async def shutdown_default_executor(loop: Loop, timeout: float | None = None) -> None:
    """Close the default executor and wait for its threads, at most *timeout* seconds (None: for ever).

    Warns with RuntimeWarning when the time is up, and lets the threads go on. The timeout works on every
    Python; asyncio takes the argument from 3.12 and obeys it from 3.13.
    """
    loop._executor_shutdown_called = True
    executor = loop._default_executor
    if executor is None:
        return
    joined = loop.create_future()
    thread = threading.Thread(target=_join, args=(loop, executor, joined))
    thread.start()
    try:
        async with asyncio.timeout(timeout):
            await joined
    except TimeoutError:
        warnings.warn(
            f"The executor did not finishing joining its threads within {timeout} seconds.",
            RuntimeWarning,
            stacklevel=2,
        )
        executor.shutdown(wait=False)
    else:
        thread.join()


def _join(loop: Loop, executor: Executor, joined: asyncio.Future[None]) -> None:
    error = None
    try:
        executor.shutdown(wait=True)
    except Exception as exc:
        error = exc
    try:
        loop.call_soon_threadsafe(_finish, joined, error)
    except RuntimeError:
        pass  # the loop was closed meanwhile: nobody waits any more


def _finish(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(None)


# -- names ---------------------------------------------------------------------------------------------------


async def getaddrinfo(
    loop: Loop,
    host: bytes | str | None,
    port: bytes | str | int | None,
    *,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[tuple[Any, ...]]:
    """`socket.getaddrinfo` that does not block: in the default executor, or at once for a numeric *host*.

    Raises `socket.gaierror` as the blocking function does.
    """
    resolve = _getaddrinfo_debug if loop._debug else _getaddrinfo
    if _is_numeric(host, port):
        return resolve(loop, host, port, family, type, proto, flags)
    return await loop.run_in_executor(None, resolve, loop, host, port, family, type, proto, flags)


async def getnameinfo(loop: Loop, sockaddr: tuple[Any, ...], flags: int = 0) -> tuple[str, str]:
    """`socket.getnameinfo` that does not block: in the default executor, or at once for numbers."""
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    if flags & numeric == numeric:
        return socket.getnameinfo(sockaddr, flags)
    return await loop.run_in_executor(None, socket.getnameinfo, sockaddr, flags)


def _is_numeric(host: object, port: object) -> bool:
    if not isinstance(host, str) or not (port is None or isinstance(port, int)):
        return False
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False


def _getaddrinfo(loop: Loop, *args: Any) -> list[tuple[Any, ...]]:
    return socket.getaddrinfo(*args)


def _getaddrinfo_debug(
    loop: Loop, host: Any, port: Any, family: int, type: int, proto: int, flags: int
) -> list[tuple[Any, ...]]:
    options = {"family": family, "type": type, "proto": proto, "flags": flags}
    query = ", ".join(
        [f"{host}:{port!r}", *(f"{name}={value!r}" for name, value in options.items() if value)]
    )
    logger.debug("Get address info %s", query)
    start = loop.time()
    found = socket.getaddrinfo(host, port, family, type, proto, flags)
    took = loop.time() - start
    message = f"Getting address info {query} took {took * 1e3:.3f}ms: {found!r}"
    if took >= loop.slow_callback_duration:
        logger.info(message)
    else:
        logger.debug(message)
    return found
