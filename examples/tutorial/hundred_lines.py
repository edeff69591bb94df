"""The loop of chapter 9: an asyncio event loop in a hundred lines.

The lines are counted without comments, empty lines and the def lines themselves: most methods
are two or three lines long, because asyncio wants many names and of each only a little.

asyncio brings tasks, futures, sleep, gather, timeouts and locks; all of them ask a loop for no
more than is here: callbacks now, later and from other threads, descriptors, and running.
"""

import asyncio
import heapq
import itertools
import os
import time
import traceback
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from select import EPOLLIN, EPOLLOUT, epoll


class Loop(asyncio.AbstractEventLoop):
    """The loop of chapter 7 under asyncio's names."""

    def __init__(self):
        self._epoll = epoll()
        self._watched = {}  # descriptor: {EPOLLIN: handle, EPOLLOUT: handle}
        self._ready = deque()
        self._timers = []  # a heap of (moment, number, handle)
        self._numbers = itertools.count()
        self._helpers = ThreadPoolExecutor()
        self._stopping = self._closed = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)  # a pair of sockets in one: rings add up
        self.add_reader(self._bell, os.eventfd_read, self._bell)

    # Callbacks: now, later, from another thread. A Handle is a callback with its arguments
    # and its context, which can be cancelled and knows how to run itself.

    def call_soon(self, callback, *args, context=None):
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(self, callback, *args, context=None):
        handle = self.call_soon(callback, *args, context=context)
        os.eventfd_write(self._bell, 1)
        return handle

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def _timer_handle_cancelled(self, handle):
        """asyncio tells us; we let it lie in the heap until its time."""

    def time(self):
        return time.monotonic()

    # Futures and tasks are asyncio's: a task calls call_soon() to be driven one step further,
    # and a future to wake the tasks that wait for it. This is all the help they need.

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coroutine, **options):
        return asyncio.Task(coroutine, loop=self, **options)

    def run_in_executor(self, executor, function, *args):
        return asyncio.wrap_future((executor or self._helpers).submit(function, *args), loop=self)

    # Descriptors: one callback for each direction.

    def add_reader(self, fd, callback, *args):
        self._watch(fd, EPOLLIN, asyncio.Handle(callback, args, self))

    def add_writer(self, fd, callback, *args):
        self._watch(fd, EPOLLOUT, asyncio.Handle(callback, args, self))

    def remove_reader(self, fd):
        return self._watch(fd, EPOLLIN, None)

    def remove_writer(self, fd):
        return self._watch(fd, EPOLLOUT, None)

    def _watch(self, fd, event, handle):
        fd = fd if isinstance(fd, int) else fd.fileno()
        before = self._watched.get(fd, {})
        after = {e: h for e, h in {**before, event: handle}.items() if h is not None}
        if after:
            change = self._epoll.modify if before else self._epoll.register
            change(fd, sum(after))  # EPOLLIN + EPOLLOUT: the bits of both
            self._watched[fd] = after
        elif before:
            self._epoll.unregister(fd)
            del self._watched[fd]
        return event in before

    # Sockets: try; if it would block, come back when it would not.

    async def _retry(self, event, sock, call, *args):
        while True:
            try:
                return call(*args)
            except BlockingIOError:
                possible = self.create_future()
                self._watch(sock, event, asyncio.Handle(self._wake, (possible,), self))
                try:
                    await possible
                finally:  # cancelled, too: nobody may be called back for a dead task
                    self._watch(sock, event, None)

    def _wake(self, possible):
        if not possible.done():  # it may have been cancelled in this very turn
            possible.set_result(None)

    async def sock_recv(self, sock, size):
        return await self._retry(EPOLLIN, sock, sock.recv, size)

    async def sock_sendall(self, sock, data):
        data = memoryview(data)
        while data:
            data = data[await self._retry(EPOLLOUT, sock, sock.send, data) :]

    async def sock_accept(self, listener):
        sock, address = await self._retry(EPOLLIN, listener, listener.accept)
        sock.setblocking(False)
        return sock, address

    async def sock_connect(self, sock, address):
        # The first try begins; it is writable when it is decided; the second tells how.
        await self._retry(EPOLLOUT, sock, sock.connect, address)

    # Running.

    def _turn(self):
        for _ in range(len(self._ready)):
            self._run(self._ready.popleft())
        if self._ready or self._stopping:
            timeout = 0
        elif self._timers:
            timeout = max(0, self._timers[0][0] - self.time())
        else:
            timeout = -1
        for fd, event in self._epoll.poll(timeout):
            if event & ~EPOLLOUT:  # IN; or HUP or ERR, which concern both directions
                self._run(self._watched.get(fd, {}).get(EPOLLIN))
            if event & ~EPOLLIN:
                self._run(self._watched.get(fd, {}).get(EPOLLOUT))
        now = self.time()
        while self._timers and self._timers[0][0] <= now:
            self._run(heapq.heappop(self._timers)[2])

    def _run(self, handle):
        if handle is not None and not handle.cancelled():
            handle._run()  # an Exception ends in call_exception_handler()

    def run_forever(self):
        asyncio._set_running_loop(self)
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._stopping = False
            asyncio._set_running_loop(None)

    def run_until_complete(self, future):
        future = asyncio.ensure_future(future, loop=self)
        future.add_done_callback(self.stop)
        try:
            self.run_forever()
        finally:
            future.remove_done_callback(self.stop)
        return future.result()

    def stop(self, _future=None):
        self._stopping = True  # the turn is finished first

    def is_closed(self):
        return self._closed

    def close(self):
        self._closed = True
        self._helpers.shutdown()
        self._epoll.close()
        os.close(self._bell)

    # What asyncio.Runner and asyncio.Task ask besides.

    async def shutdown_asyncgens(self):
        """Nothing to do: this loop keeps no list of asynchronous generators."""

    async def shutdown_default_executor(self, timeout=None):
        """Nothing to do: close() does it."""

    def get_debug(self):
        return False

    def call_exception_handler(self, context):
        print(context["message"])
        if exception := context.get("exception"):
            traceback.print_exception(exception)
