"""The loop of chapter 7, in a file of its own: from here on nobody has to change it.

Chapter 7 runs callbacks on it, chapter 8 puts coroutines on top of it.
"""

import heapq
import itertools
import signal
import socket
import time
import traceback
from collections import deque
from select import EPOLLIN, epoll


class Timer:
    """A callback that is due at a moment, and can be called off until then."""

    def __init__(self, callback, args):
        self.callback = callback
        self.args = args

    def cancel(self):
        # It stays in the heap, empty: to take it out of the middle would cost a search.
        self.callback = None


class Loop:
    """Waits for descriptors, for moments and for other threads, and calls back."""

    def __init__(self):
        self.epoll = epoll()
        self.watched = {}  # descriptor: (event, callback)
        self.ready = deque()  # (callback, arguments): to be called in the next turn
        self.timers = []  # a heap of (moment, number, timer): the earliest is always first
        self.numbers = itertools.count()  # equal moments: first come, first served
        self.ear, self.bell = socket.socketpair()  # who writes into bell wakes the sleeper
        self.ear.setblocking(False)
        self.bell.setblocking(False)
        self.watch(self.ear.fileno(), EPOLLIN, self.on_bell)
        # A signal rings, too: Ctrl-C may come when we have just decided to sleep.
        signal.set_wakeup_fd(self.bell.fileno(), warn_on_full_buffer=False)

    def watch(self, fd, event, callback):
        """Call callback() whenever the event holds; takes the place of an earlier wish."""
        before = self.watched.get(fd)
        if before is None:
            self.epoll.register(fd, event)
        elif before[0] != event:
            self.epoll.modify(fd, event)
        self.watched[fd] = event, callback

    def unwatch(self, fd):
        del self.watched[fd]
        self.epoll.unregister(fd)

    def call_soon(self, callback, *args):
        self.ready.append((callback, args))

    def call_later(self, seconds, callback, *args):
        timer = Timer(callback, args)
        # monotonic(): time() jumps when somebody sets the clock.
        when = time.monotonic() + seconds
        heapq.heappush(self.timers, (when, next(self.numbers), timer))
        return timer

    def call_soon_threadsafe(self, callback, *args):
        """The one method that other threads may call: queue it, then wake the loop."""
        self.ready.append((callback, args))  # a deque's append is safe between threads
        try:
            self.bell.send(b"!")
        except BlockingIOError:  # so many unheard rings that the buffer is full: it will wake
            pass

    def on_bell(self):
        self.ear.recv(4096)  # what is to be done stands in the queue; this was only the noise

    def run_forever(self):
        while True:
            self.turn()

    def turn(self):
        # 1. Run what is ready now. What that adds waits for the next turn: I/O comes first.
        for _ in range(len(self.ready)):
            callback, args = self.ready.popleft()
            self.call(callback, *args)
        # 2. Poll. Do not sleep if something is ready, else until the next timer, or for ever.
        if self.ready:
            timeout = 0
        elif self.timers:
            timeout = max(0, self.timers[0][0] - time.monotonic())
        else:
            timeout = -1
        events = self.epoll.poll(timeout)
        # 3. I/O.
        for fd, _event in events:
            # Looked up now, not before: a callback just called may have closed this one.
            if fd in self.watched:
                _, callback = self.watched[fd]
                self.call(callback)
        # 4. Timers that are due.
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            _, _, timer = heapq.heappop(self.timers)
            if timer.callback is not None:
                self.call(timer.callback, *timer.args)

    def call(self, callback, *args):
        try:
            callback(*args)
        except Exception:  # not BaseException: Ctrl-C goes through
            traceback.print_exc()  # one client's fault: said aloud, and not the others' end

    def close(self):
        signal.set_wakeup_fd(-1)
        self.epoll.close()
        self.ear.close()
        self.bell.close()
