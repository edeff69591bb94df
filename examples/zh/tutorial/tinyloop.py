"""第 7 章的循环，自成一个文件：从此以后，谁也不用再改它。

第 7 章在它上面跑回调，第 8 章在它上面加协程。
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
    """到某个时刻要调用的回调；在那之前可以取消。"""

    def __init__(self, callback, args):
        self.callback = callback
        self.args = args

    def cancel(self):
        # 它还留在堆里，只是空了：从中间取出来，得先找到它。
        self.callback = None


class Loop:
    """等描述符、等时刻、等别的线程，然后调用回调。"""

    def __init__(self):
        self.epoll = epoll()
        self.watched = {}  # 描述符：（事件，回调）
        self.ready = deque()  # （回调，参数）：下一圈要调用的
        self.timers = []  # 一个堆，元素是（时刻，流水号，定时器）：最早的总在第一个
        self.numbers = itertools.count()  # 时刻相同，先来后到
        self.ear, self.bell = socket.socketpair()  # 往 bell 里写，就能叫醒睡着的循环
        self.ear.setblocking(False)
        self.bell.setblocking(False)
        self.watch(self.ear.fileno(), EPOLLIN, self.on_bell)
        # 信号也会摇铃：Ctrl-C 可能正好在我们决定要睡的那一刻到来。
        signal.set_wakeup_fd(self.bell.fileno(), warn_on_full_buffer=False)

    def watch(self, fd, event, callback):
        """事件一来就调用 callback()；新的要求取代旧的。"""
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
        # 用 monotonic()：有人拨钟，time() 就会跳。
        when = time.monotonic() + seconds
        heapq.heappush(self.timers, (when, next(self.numbers), timer))
        return timer

    def call_soon_threadsafe(self, callback, *args):
        """别的线程唯一可以调用的方法：先排进队列，再叫醒循环。"""
        self.ready.append((callback, args))  # deque 的 append 在线程之间是安全的
        try:
            self.bell.send(b"!")
        except BlockingIOError:  # 铃摇了太多次没人听，缓冲区都满了：反正它会醒
            pass

    def on_bell(self):
        self.ear.recv(4096)  # 要做的事都在队列里，这只是铃声

    def run_forever(self):
        while True:
            self.turn()

    def turn(self):
        # 1. 运行现在就绪的。期间新加的等下一圈：先轮到 I/O。
        for _ in range(len(self.ready)):
            callback, args = self.ready.popleft()
            self.call(callback, *args)
        # 2. 询问。有就绪的就不睡，不然睡到下一个定时器，或者一直睡。
        if self.ready:
            timeout = 0
        elif self.timers:
            timeout = max(0, self.timers[0][0] - time.monotonic())
        else:
            timeout = -1
        events = self.epoll.poll(timeout)
        # 3. 读写。
        for fd, _event in events:
            # 到这时才查表，不能提前：刚刚调用过的回调，可能已经关掉了这一个。
            if fd in self.watched:
                _, callback = self.watched[fd]
                self.call(callback)
        # 4. 到期的定时器。
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            _, _, timer = heapq.heappop(self.timers)
            if timer.callback is not None:
                self.call(timer.callback, *timer.args)

    def call(self, callback, *args):
        try:
            callback(*args)
        except Exception:  # 不是 BaseException：Ctrl-C 要放过去
            traceback.print_exc()  # 一个客户端出了错：说出来，但不能让其他人陪葬

    def close(self):
        signal.set_wakeup_fd(-1)
        self.epoll.close()
        self.ear.close()
        self.bell.close()
