"""`SimLoop`: loopkit's own loop on a simulated kernel.

The rooms are the same, and the turn is too, as long as nothing is explored: poller, clock and sockets are
other ones. What a loop can be asked for and no simulation can give (a real thread, a child process) is
overridden here; it says so, and the way out.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import signal
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..diagnostics.turns import call
from ..errors import is_coroutine
from ..loop import Loop
from ..pollers import POLLERS
from ..signals import _check_signal
from . import children as children  # replace some of the standard library's
from . import descriptors as descriptors
from . import names as names
from . import outside
from . import secure as secure
from .errors import EscapedError
from .outside import LIFE
from .turn import plain_call, simulated_turns
from .world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["SimLoop"]

T = TypeVar("T")


class SimTask(asyncio.Task[T]):
    """A task whose place in a set does not depend on its address: `TaskGroup` and `all_tasks` use sets."""

    def __init__(self, coro: Coroutine[Any, Any, T], *, loop: SimLoop, **options: Any) -> None:
        self.number = loop.world.task_number()
        context = options.get("context")
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            life.tasks.append(self)
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self.number


class SimLoop(Loop):
    """A `loopkit.Loop` whose kernel, clock and network are simulated.

    Time passes only when every task is blocked, and then at once: an hour of sleeping costs microseconds. For
    ``asyncio.Runner(loop_factory=SimLoop)``, ``asyncio.run(..., loop_factory=SimLoop)``, pytest-asyncio and
    anyio. Whatever waits for nothing that can happen raises `Deadlock` out of the run.

    Args:
        world: where it runs; None: a new one in which nothing deviates from what asyncio does.
    """

    __slots__ = ("time", "world")
    poller_name = "sim"

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        clock = self.world.clock
        self.time = clock.ticking if self.world.explores else clock.time  # type: ignore[method-assign]
        # The registry has it for a moment only: nobody can choose it by name.
        kind: Any = partial(self.world.poller_type, self.world)
        POLLERS["sim"] = kind
        try:
            super().__init__()
        finally:
            del POLLERS["sim"]
        self.world.loop = self

    def run_forever(self) -> None:
        """Run until `stop()` is called. Raises as `loopkit.Loop` does, and `Deadlock` and `Livelock`."""
        with outside.running(self):
            super().run_forever()

    def _turns(self) -> None:
        if self.world.explores or self.world.halted:
            simulated_turns(self, plain_call)
        else:
            super()._turns()

    def _observed_turns(self) -> None:
        if self.world.explores or self.world.halted:
            simulated_turns(self, call)
        else:
            super()._observed_turns()

    # -- tasks -----------------------------------------------------------------------------------------------

    def create_task(self, coro: Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:  # type: ignore[override]
        """Schedule *coro* as a task; see `asyncio.loop.create_task`."""
        world = self.world
        if self._task_factory is not None or not (world.explores or len(world.network.hosts) > 1):
            return super().create_task(coro, **options)
        self._check_closed()
        return SimTask(coro, loop=self, **options)

    # -- other threads, other processes ----------------------------------------------------------------------

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, **options: Any
    ) -> asyncio.Handle:
        """`call_soon` for other threads. Raises `EscapedError` there."""
        threads = self.world.threads
        if threads is None and self._thread_id not in (None, threading.get_ident()):
            raise EscapedError(
                f"the thread {threading.current_thread().name!r} has called call_soon_threadsafe() of a "
                "simulated loop; use run_in_executor or asyncio.to_thread, which are simulated, or run this "
                'test with threads="real"'
            )
        handle = super().call_soon_threadsafe(callback, *args, **options)
        if threads is not None:
            threads.move()
        return handle

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Call ``func(*args)``, in this thread, at a moment of the simulation; a future of its result.

        Raises `EscapedError` for what is no thread pool: a process cannot be simulated.
        """
        if self.world.threads is not None:
            return super().run_in_executor(executor, func, *args)
        self._check_closed()
        if executor is None and self._executor_shutdown_called:
            raise RuntimeError("Executor shutdown has been called")
        if executor is not None and not isinstance(executor, concurrent.futures.ThreadPoolExecutor):
            raise EscapedError(
                f"{type(executor).__name__} would run in real time, beside the simulation; use the default "
                "executor or a ThreadPoolExecutor in this test, which are simulated"
            )
        if self._debug:
            from ..errors import check_callback

            check_callback(func, "run_in_executor")
        future: asyncio.Future[T] = self.create_future()
        self.world.at(self.world.clock.now + self.world.lateness("net"), self._work, future, func, args)
        return future

    def _work(self, future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if future.cancelled():
            return
        asyncio._set_running_loop(None)
        try:
            result = func(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            future.set_exception(exc)
        else:
            future.set_result(result)
        finally:
            asyncio._set_running_loop(self)

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        """Call ``callback(*args)`` when the program receives *sig*: see `World.signal`."""
        if is_coroutine(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        _check_signal(sig)
        self._check_closed()
        if sig in (signal.SIGKILL, signal.SIGSTOP):
            raise RuntimeError(f"sig {sig} cannot be caught")
        self.world.signals[sig] = self._new_handle(callback, args, None)

    def remove_signal_handler(self, sig: int) -> bool:
        """Undo `add_signal_handler`; whether there was a handler."""
        _check_signal(sig)
        return self.world.signals.pop(sig, None) is not None

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        """The addresses of a host of the world. Raises `socket.gaierror` for others."""
        resolve = self.world.network.resolve
        late = self.world.lateness("net")
        if late:
            self.world.choices.say(f"looking up {host!r} took longer")
            await self._pass(late)
        return resolve(host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """The number in *sockaddr*, or the name of the host that has it."""
        host = self.world.network.host_at(self.world.here, sockaddr[0])
        named = host is not None and not flags & socket.NI_NUMERICHOST
        return (host.name if named and host is not None else sockaddr[0]), str(sockaddr[1])

    async def _pass(self, seconds: float) -> None:
        future = self.create_future()
        self.world.at(self.world.clock.now + seconds, _done, future)
        await future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Refuse further work for the default executor; there are no threads to wait for."""
        if self.world.threads is not None:
            await super().shutdown_default_executor(timeout)
        self._executor_shutdown_called = True


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
