"""The event loop. HOT: the turn, and the three ways to schedule a call.

`Loop` owns the state and the passing of time. Every other family of methods is a set of plain functions in a
file of its own, whose first parameter is the loop; they are bound at the end of the class body, which so
reads as the table of contents of the event-loop API. A bound function costs what a method costs.

What the rooms may use of a loop, besides its public methods:

    _watches                     the fd table: watch_read, watch_write, rest_read, own, forget (watches.py)
    _watch(fd, callback, *args)  the short form of the same, for the loop's own descriptors
    _new_handle(cb, args, ctx)   a handle that is in no queue yet
    _ready                       append a handle: it runs in the next turn
    _unsent                      append a transport: it is told to send when the callback in progress returns
    _gathering                   the transport that does this itself, for what its protocol writes to it
    _idle                        True while no callback is running: nothing would come to do that telling
    _debug, _check_closed()

One turn is `_turns` below, four labelled blocks:

    poll   ask the kernel, for no longer than until the next timer
    run    what is ready
    I/O    call who waits for the descriptors that came back
    timers call what is due

This is asyncio's iteration, and its sequence: [ready, I/O, timers], and what these schedule in the next turn.
Two things are different. Nothing is queued that need not be: asyncio makes a handle of every event and of
every due timer, and runs them from the queue; here nothing stands between the kernel's answer and the
callback. And a turn that only continues what the last one made ready (a task stepped because its data came,
say) does without the poll, for a while: asyncio asks the kernel before every step. Its I/O then comes a few
steps later, which `docs/explanation/differences.md` tells. Whoever begins to wait for a descriptor ends that:
what lies in the kernel already when a connection is taken up must be heard before its handler goes on.

A second kind of turn, for debug mode, does the same in small steps that can be observed
(`diagnostics/turns.py`); a test runs the same programs under both and compares.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import warnings
from asyncio.log import logger
from collections import deque
from contextvars import Context, copy_context
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar

from . import debug, descriptors, errors, executor, fork, pollers, tasks
from .handles import Handle, ThreadSafeHandle, TimerHandle
from .late import late
from .pollers.masks import POLLIN, POLLNVAL, POLLOUT
from .timers import TimerHeap, push
from .wakeup import Wakeup
from .watches import Watches

if TYPE_CHECKING:
    import weakref
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from concurrent.futures import ThreadPoolExecutor

    from .signals import SignalTable
    from .tls.contexts import Buffers
    from .transports.stream import StreamTransport

T = TypeVar("T")

#: How long turns go on without a poll, when the one before has made something ready: at most so many turns
#: and so many seconds. A chain of task steps then costs no `epoll_wait(0)` each, and I/O never starves.
ROUNDS = 16
ROUNDS_SECONDS = 0.0005

CLOCK_RESOLUTION = time.get_clock_info("monotonic").resolution


class Loop(asyncio.AbstractEventLoop):
    """An `asyncio.AbstractEventLoop` on the poller named by LOOPKIT_POLLER, or the best the platform has.

    It does what `asyncio.SelectorEventLoop` does; where it does not, `docs/explanation/differences.md` says
    so. Raises ValueError if LOOPKIT_POLLER names no poller.
    """

    #: The poller of this class; None: chosen by the environment when the loop is made.
    poller_name: str | None = None

    #: Whether any loop of ours was made in this process: the command line remarks at exit that none was.
    _made = False

    #: A subclass has a clock of its own.
    _own_clock = False

    # One line each; a slot is also faster than an entry of __dict__ once there are more than thirty of them
    # (3.14+).
    __slots__ = (
        "_asyncgens",  # weak references to the asynchronous generators that were started here
        "_asyncgens_shutdown_called",
        "_closed",
        "_current_handle",  # in the observed turn: what is being called
        "_debug",
        "_default_executor",
        "_exception_handler",
        "_executor_shutdown_called",
        "_gathering",  # the transport whose protocol is being called: it sends what it holds by itself
        "_guarded",  # debug mode, closed, or a call_at of its own: scheduling has something to check
        "_idle",  # no callback is running: the loop sleeps, or does not run
        "_instruments",  # what watches the loop at work, once somebody asked (diagnostics/instruments.py)
        "_last_ready",  # the last handle of the round in which timers are due
        "_leave",  # the turn in progress is the last one (of its kind)
        "_origin_depth",  # the interpreter's coroutine origin depth before debug mode changed it
        "_ready",  # handles to be called in the next round, oldest first
        "_signals",  # the signal table, while there are signal handlers
        "_stopping",  # stop() was called
        "_task_factory",
        "_thread_id",  # of the thread that runs the loop, or None
        "_timer_handle_cancelled",  # the heap's own: what TimerHandle.cancel() calls, the stdlib's included
        "_timers",  # the timer heap
        "_tls",  # the buffers through which TLS connections talk, once there is one
        "_unix_server_sockets",  # inode of the path, per listening Unix socket that removes it
        "_unsent",  # transports that hold back small writes until the callback in progress returns
        "_wakeup",  # ends the poll from other threads
        "_watches",  # the fd table, and in it the poller
        "slow_callback_duration",  # seconds; debug mode logs callbacks that take longer
    )

    def __init__(self) -> None:
        self._closed = True  # until everything below is there: __del__ may come before
        self._watches = Watches(pollers.named(self.poller_name))
        self.poller_name = self._watches.poller.name
        self._wakeup = Wakeup()
        self._ready: deque[asyncio.Handle] = deque()
        self._timers = TimerHeap()
        self._timer_handle_cancelled = self._timers.note_cancelled
        self._unsent: deque[StreamTransport] = deque()
        self._gathering: StreamTransport | None = None
        self._tls: Buffers | None = None
        self._idle = True
        self._leave = self._stopping = False
        self._last_ready: asyncio.Handle | None = None
        self._thread_id: int | None = None
        self._signals: SignalTable | None = None
        self._unix_server_sockets: dict[int, int] = {}
        self._default_executor: ThreadPoolExecutor | None = None
        self._executor_shutdown_called = False
        self._exception_handler: errors.ExceptionHandler | None = None
        self._task_factory: tasks.TaskFactory | None = None
        self._asyncgens: set[weakref.ref[AsyncGenerator[Any, Any]]] = set()
        self._asyncgens_shutdown_called = False
        self._current_handle: asyncio.Handle | None = None
        self._origin_depth: int | None = None
        self._instruments: Any = None
        self.slow_callback_duration = 0.1
        self._debug: Any = False
        self._closed = False
        self.set_debug(debug.is_asked_for())
        self._watch(self._wakeup.fileno(), self._wakeup.clear)
        fork.loops.add(self)
        Loop._made = True
        if debug.instruments_are_asked_for():
            from .diagnostics import instruments

            instruments.equip(self)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._own_clock = cls.time is not Loop.time

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} poller={self.poller_name} running={self.is_running()} "
            f"closed={self.is_closed()} debug={self.get_debug()}>"
        )

    # -- running and stopping --------------------------------------------------------------------------------

    def run_forever(self) -> None:
        """Run until `stop()` is called.

        Raises RuntimeError if the loop is closed or running, or another one is running in this thread; lets
        SystemExit and KeyboardInterrupt of callbacks out, after which the loop can be run again.
        """
        self._check_closed()
        self._check_not_running()
        debug.mind_observers(self)  # maybe call_at was replaced
        hooks = sys.get_asyncgen_hooks()
        try:
            self._thread_id = threading.get_ident()
            self._idle = False
            debug.track_origins(self, self._debug)
            sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter, finalizer=self._asyncgen_finalizer)
            asyncio._set_running_loop(self)
            if self._instruments is not None:
                self._instruments.starts()
            while True:
                self._leave = self._stopping
                if debug.turns_are_observed(self):
                    self._observed_turns()
                else:
                    self._turns()
                if self._stopping:
                    break
        finally:
            try:
                self._rest(hooks)
            finally:
                self._rest(hooks)  # once more: Ctrl-C may have come in the middle
            if self._instruments is not None:
                self._instruments.stops()
            if self._timers.due:
                self._requeue_due()
            self._send_all_held()  # last: protocols may be told that it is too much, and raise

    def _rest(self, hooks: Any) -> None:
        """Run no more: the loop can be run again. *hooks* are the asynchronous generators' of before."""
        self._idle = True
        self._stopping = self._leave = False
        self._thread_id = None
        asyncio._set_running_loop(None)
        debug.track_origins(self, False)
        sys.set_asyncgen_hooks(*hooks)

    def _observed_turns(self) -> None:
        """`_turns`, in steps that can be watched."""
        from .diagnostics.turns import observed_turns

        observed_turns(self)

    def _turns(self) -> None:
        """Turn after turn, until one of them is the last."""
        handle: Any  # what typeshed says of handles leaves out their slots
        last: Any
        events: Any
        ready, unsent, timers, tables = self._ready, self._unsent, self._timers, self._watches
        entries, due, heap = tables.entries, timers.due, timers.heap
        unpolled, enough, polls, own_clock = ROUNDS, 0.0, tables.polls, self._own_clock
        while True:
            # -- poll: for no longer than until the next timer; skipped while a chain of callbacks is short
            skip = False
            if ready and unpolled < ROUNDS and tables.newest != polls and not self._leave:
                # Without timers the loop's clock is the monotonic one, frozen or not: no frame for it.
                now = self.time() if heap or own_clock else time.monotonic()
                if not unpolled:
                    enough = now + ROUNDS_SECONDS
                skip = now < enough and not (heap and heap[0][0] <= now)
            if skip:
                unpolled += 1
                events = ()
            else:
                unpolled = 0
                timeout: float | None = 0
                if not ready and not self._leave:
                    timeout = timers.patience(self.time()) if heap else None
                tables.polls = polls = polls + 1
                self._idle = True
                if unsent:
                    self._flush()  # a signal handler has written, between two callbacks
                events = tables.poll(timeout)
                self._idle = False
                if polls >= tables.audit_at:
                    tables.audit(events)
                if heap and heap[0][0] < (now := self.time() + CLOCK_RESOLUTION):
                    timers.collect(now)

            # -- run: what is ready, but not what that makes ready
            if ready:
                # fast: the last handle is known, nothing is counted; see performance.md#mark
                last = ready[-1]
                if due:
                    self._last_ready = last
                while True:
                    handle = ready.popleft()
                    args = handle._args
                    if args is not None:  # else: cancelled
                        try:
                            # fast: `run(f, *args)` costs four times `run(f, x)`; see performance.md#star-args
                            if not args:
                                handle._context.run(handle._callback)
                            elif len(args) == 1:
                                handle._context.run(handle._callback, args[0])
                            else:
                                handle._context.run(handle._callback, *args)
                        except (SystemExit, KeyboardInterrupt):
                            raise
                        except BaseException as exc:
                            errors.callback_failed(self, handle, exc)
                        if unsent:
                            # fast: _flush without its frame; see performance.md#held-writes
                            while unsent:
                                unsent[0]._send_held()
                                unsent.popleft()
                    if handle is last:
                        break
                # Nothing is kept alive by a loop that sleeps, or has other things to do.
                handle = last = args = None
            if skip and self._leave:
                events = tables.poll(0)  # the last turn: what it skipped must not wait for the next run

            # -- I/O: for those who waited when the kernel was asked, and do so still
            if events:
                for fd, mask in events:
                    entry = entries.get(fd)
                    if entry is None or mask >= POLLNVAL:  # the highest bit
                        tables.unwanted(fd, mask)
                        continue
                    if mask != POLLOUT:
                        watcher = entry.reader
                        if watcher is None:
                            tables.unwanted(fd, mask)
                        elif entry.read_since != polls:
                            try:
                                if watcher._args:
                                    watcher._context.run(watcher._callback, *watcher._args)
                                else:
                                    watcher._context.run(watcher._callback)
                            except (SystemExit, KeyboardInterrupt):
                                raise
                            except BaseException as exc:
                                errors.callback_failed(self, watcher, exc)
                            if unsent:
                                self._flush()
                    if mask != POLLIN:
                        watcher = entry.writer
                        if watcher is None:
                            tables.unwanted(fd, mask)
                        elif entry.write_since != polls:
                            try:
                                if watcher._args:
                                    watcher._context.run(watcher._callback, *watcher._args)
                                else:
                                    watcher._context.run(watcher._callback)
                            except (SystemExit, KeyboardInterrupt):
                                raise
                            except BaseException as exc:
                                errors.callback_failed(self, watcher, exc)
                            if unsent:
                                self._flush()
                events = entry = watcher = None

            # -- timers: those that were due when the poll returned, oldest first
            if due:
                while due:
                    handle = due.popleft()
                    args = handle._args
                    if args is None:
                        continue  # cancelled by an earlier one of this turn
                    try:
                        if args:
                            handle._context.run(handle._callback, *args)
                        else:
                            handle._context.run(handle._callback)
                    except (SystemExit, KeyboardInterrupt):
                        raise
                    except BaseException as exc:
                        errors.callback_failed(self, handle, exc)
                    if unsent:
                        self._flush()
                handle = args = self._last_ready = None
            if self._leave:
                return

    def _requeue_due(self) -> None:
        """A turn was torn out of its work, by Ctrl-C say: what was due in it comes before what it scheduled.

        asyncio has such timers in its ready queue already.
        """
        ready, due, last = self._ready, self._timers.due, self._last_ready
        place = next((n for n, handle in enumerate(ready, 1) if handle is last), 0)
        ready.rotate(-place)
        # One call in C, so that no timer is in both places, or in none, if Ctrl-C comes once more.
        ready.extendleft(map(deque.pop, repeat(due, len(due))))
        ready.rotate(place)
        self._last_ready = None

    def _flush(self) -> None:
        """Have the transports send what they held back during the callback that has just returned."""
        unsent = self._unsent  # may grow: a full transport calls its protocol's pause_writing()
        while unsent:
            unsent[0]._send_held()
            unsent.popleft()  # not before: an interruption leaves it in its place

    def _send_all_held(self) -> None:
        if self._unsent or self._gathering is not None:
            from .transports import held

            held.send_all(self)

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until *future*, or a task made of it, is done; return its result or raise its exception.

        Raises RuntimeError as `run_forever` does, and if the loop was stopped before the future was done.
        """
        self._check_closed()
        self._check_not_running()
        is_new = not asyncio.isfuture(future)
        task: asyncio.Future[T] = asyncio.ensure_future(future, loop=self)  # type: ignore[arg-type]
        if is_new:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # we raise, below, if it is not done
        task.add_done_callback(_stop_when_done)
        try:
            self.run_forever()
        except BaseException:
            if is_new and task.done() and not task.cancelled():
                # The caller gets it now, and has no task to ask: do not log it as never retrieved.
                task.exception()
            raise
        finally:
            task.remove_done_callback(_stop_when_done)
        if not task.done():
            raise RuntimeError("Event loop stopped before Future completed.")
        return task.result()

    def stop(self) -> None:
        """Finish this turn, then return from `run_forever`; what it has scheduled waits for the next run."""
        self._stopping = self._leave = True

    def is_running(self) -> bool:
        """True while `run_forever` or `run_until_complete` is in progress."""
        return self._thread_id is not None

    def is_closed(self) -> bool:
        """True after `close()`."""
        return self._closed

    def close(self) -> None:
        """Drop all callbacks, shut the default executor down without waiting, give all descriptors back.

        Idempotent. Raises RuntimeError if the loop is running.
        """
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self._closed:
            return
        if self._debug:
            logger.debug("Close %r", self)
        if self._signals is not None:
            self._signals.close_all(self)
        self._closed = self._guarded = True
        self._ready.clear()
        self._timers.clear()
        self._unsent.clear()
        self._executor_shutdown_called = True
        default_executor, self._default_executor = self._default_executor, None
        if default_executor is not None:
            default_executor.shutdown(wait=False)
        self._watches.close()
        self._wakeup.close()
        if self._instruments is not None:
            self._instruments.close()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if not self._closed:
            _warn(f"unclosed event loop {self!r}", ResourceWarning, source=self)
            if not self.is_running():
                self.close()

    def _check_closed(self) -> None:
        if self._closed:
            raise RuntimeError("Event loop is closed")

    def _check_not_running(self) -> None:
        if self.is_running():
            raise RuntimeError("This event loop is already running")
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("Cannot run the event loop while another loop is running")

    # -- scheduling ------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Seconds of the monotonic clock. Whoever replaces that, here or in the `time` module, is heard."""
        return time.monotonic()

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call ``callback(*args)`` after what is ready already, in *context* or a copy of this one.

        Raises RuntimeError if the loop is closed; in debug mode also if called from another thread, and
        TypeError for coroutines and what cannot be called.
        """
        if self._guarded:
            handle = debug.guarded_handle(self, "call_soon", callback, args, context)
        else:
            # fast: no constructor frame; see performance.md#lean-handles
            handle = Handle()
            handle._callback = callback
            handle._args = args
            handle._loop = self
            handle._context = copy_context() if context is None else context
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """`call_soon` for other threads, and for signal handlers: it also ends the poll in progress."""
        if self._guarded:
            handle = debug.guarded_handle(self, "call_soon_threadsafe", callback, args, context)
        else:
            # fast: as in call_soon; see performance.md#lean-handles
            handle = ThreadSafeHandle()
            handle._callback = callback
            handle._args = args
            handle._loop = self
            handle._context = copy_context() if context is None else context
        self._ready.append(handle)
        if not self._wakeup.pending:
            self._wakeup.wake()
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call ``callback(*args)`` after *delay* seconds, never earlier. Raises TypeError if that is None."""
        if delay is None:
            raise TypeError("delay must not be None")
        when = self.time() + delay
        if self._guarded:
            if debug.has_own_call_at(self):
                return self.call_at(when, callback, *args, context=context)
            handle = debug.guarded_timer(self, when, callback, args, context)
        else:
            # fast: as in call_soon; see performance.md#lean-handles
            handle = TimerHandle()
            handle._callback = callback
            handle._args = args
            handle._loop = self
            handle._context = copy_context() if context is None else context
            handle._when = when
        timers = self._timers
        timers.seq = seq = timers.seq + 1
        push(timers.heap, (when, seq, handle))
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call ``callback(*args)`` at *when*, in seconds of `time()`, never earlier; equal times in order.

        Raises TypeError if *when* is no number; otherwise as `call_soon`.
        """
        if when is None:
            raise TypeError("when cannot be None")
        when + 0.0  # a str or a Decimal must fail here, not in the middle of a turn
        if self._guarded:
            handle = debug.guarded_timer(self, when, callback, args, context)
        else:
            # fast: as in call_soon; see performance.md#lean-handles
            handle = TimerHandle()
            handle._callback = callback
            handle._args = args
            handle._loop = self
            handle._context = copy_context() if context is None else context
            handle._when = when
        timers = self._timers
        timers.seq = seq = timers.seq + 1
        push(timers.heap, (when, seq, handle))
        return handle

    #: call_later goes through whatever else stands under the name, as asyncio's does.
    _plain_call_at = call_at

    def _new_handle(
        self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None
    ) -> asyncio.Handle:
        if self._debug:
            watched: asyncio.Handle = debug.forget_frames(asyncio.Handle(callback, args, self, context), 1)
            return watched
        handle = Handle()
        handle._callback = callback
        handle._args = args
        handle._loop = self
        handle._context = copy_context() if context is None else context
        return handle

    def _watch(self, fd: int, callback: Callable[..., Any], *args: Any) -> None:
        """Have ``callback(*args)`` called whenever *fd*, a descriptor of the loop's own, is readable."""
        self._watches.watch_read(fd, self._new_handle(callback, args, None))

    # -- the other rooms, in the order of Python's documentation ---------------------------------------------

    create_future = tasks.create_future
    create_task = tasks.create_task
    set_task_factory = tasks.set_task_factory
    get_task_factory = tasks.get_task_factory
    shutdown_asyncgens = tasks.shutdown_asyncgens
    _asyncgen_firstiter = tasks.asyncgen_firstiter
    _asyncgen_finalizer = tasks.asyncgen_finalizer

    create_connection = late("net.connect")
    create_unix_connection = late("net.connect")
    # typeshed still has reuse_address, which Python 3.11 took away
    create_datagram_endpoint = late("net.datagrams")
    create_server = late("net.serve")
    create_unix_server = late("net.serve")
    connect_accepted_socket = late("net.connect")

    sendfile = late("net.sendfile")
    start_tls = late("tls")

    add_reader = descriptors.add_reader
    remove_reader = descriptors.remove_reader
    add_writer = descriptors.add_writer
    remove_writer = descriptors.remove_writer

    sock_recv = late("net.sockets")
    sock_recv_into = late("net.sockets")
    sock_recvfrom = late("net.sockets")
    sock_recvfrom_into = late("net.sockets")
    sock_sendall = late("net.sockets")
    sock_sendto = late("net.sockets")
    sock_connect = late("net.sockets")
    sock_accept = late("net.sockets")
    sock_sendfile = late("net.sendfile")

    getaddrinfo = executor.getaddrinfo
    getnameinfo = executor.getnameinfo

    connect_read_pipe = late("net.pipes")
    connect_write_pipe = late("net.pipes")

    @property
    def _signal_handlers(self) -> dict[int, asyncio.Handle]:
        """Who is called for which signal. asyncio's name: programs read it to restore a handler."""
        return {} if self._signals is None else self._signals.handles

    add_signal_handler = late("signals")
    remove_signal_handler = late("signals")

    run_in_executor = executor.run_in_executor
    set_default_executor = executor.set_default_executor
    shutdown_default_executor = executor.shutdown_default_executor

    set_exception_handler = errors.set_exception_handler
    get_exception_handler = errors.get_exception_handler
    default_exception_handler = errors.default_exception_handler
    call_exception_handler = errors.call_exception_handler

    get_debug = debug.get_debug
    set_debug = debug.set_debug

    metrics = late("diagnostics.metrics")

    subprocess_shell = late("processes.spawn")
    subprocess_exec = late("processes.spawn")


class PollLoop(Loop):
    """A `Loop` on ``select.poll``."""

    __slots__ = ()
    poller_name = "poll"


class SelectLoop(Loop):
    """A `Loop` on ``select.select``: no descriptor above 1023."""

    __slots__ = ()
    poller_name = "select"


class BusyLoop(Loop):
    """A `Loop` that tries its sockets in a circle and never sleeps: to be read and measured, not deployed."""

    __slots__ = ()
    poller_name = "busy"


if "epoll" in pollers.POLLERS:

    class EpollLoop(Loop):
        """A `Loop` on ``select.epoll``."""

        __slots__ = ()
        poller_name = "epoll"


def _stop_when_done(future: asyncio.Future[Any]) -> None:
    if not future.cancelled() and isinstance(future.exception(), (SystemExit, KeyboardInterrupt)):
        return  # it is on its way out of run_forever already; stop() would cut the next run short
    future.get_loop().stop()
