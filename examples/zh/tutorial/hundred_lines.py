"""第 9 章的循环：一百行的 asyncio 事件循环。

数行数时不算注释、空行和 def 那一行本身：大多数方法只有两三行，因为 asyncio 要的名字很多，每
个名字下要做的却很少。

asyncio 自己带着任务、future、sleep、gather、时限和锁；它们要求循环的只有这里这些：马上、过
一会儿、从别的线程调用回调，监视描述符，以及运行。
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
    """第 7 章的循环，换成 asyncio 的名字。"""

    def __init__(self):
        self._epoll = epoll()
        self._watched = {}  # 描述符：{EPOLLIN: handle, EPOLLOUT: handle}
        self._ready = deque()
        self._timers = []  # 一个堆，元素是（时刻，流水号，handle）
        self._numbers = itertools.count()
        self._helpers = ThreadPoolExecutor()
        self._stopping = self._closed = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)  # 把一对套接字合成一个：铃声会累加
        self.add_reader(self._bell, os.eventfd_read, self._bell)

    # 回调：马上、过一会儿、从别的线程。Handle 就是一个回调，连同它的参数和上下文；可以取消，
    # 也知道怎样运行自己。

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
        """asyncio 会告诉我们；我们让它躺在堆里，直到它的时刻。"""

    def time(self):
        return time.monotonic()

    # future 和任务都是 asyncio 的：任务调用 call_soon() 让自己再走一步，future 调用它来唤醒等
    # 待自己的任务。它们要我们帮的，就只有这些。

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coroutine, **options):
        return asyncio.Task(coroutine, loop=self, **options)

    def run_in_executor(self, executor, function, *args):
        return asyncio.wrap_future((executor or self._helpers).submit(function, *args), loop=self)

    # 描述符：每个方向一个回调。

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
            change(fd, sum(after))  # EPOLLIN + EPOLLOUT：两者的位合在一起
            self._watched[fd] = after
        elif before:
            self._epoll.unregister(fd)
            del self._watched[fd]
        return event in before

    # 套接字：先试；要是会阻塞，等不会阻塞时再来。

    async def _retry(self, event, sock, call, *args):
        while True:
            try:
                return call(*args)
            except BlockingIOError:
                possible = self.create_future()
                self._watch(sock, event, asyncio.Handle(self._wake, (possible,), self))
                try:
                    await possible
                finally:  # 取消时也要撤销：不能再为一个死掉的任务调用回调
                    self._watch(sock, event, None)

    def _wake(self, possible):
        if not possible.done():  # 就在这一圈里，它可能已经被取消
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
        # 第一次尝试只是开始；变成可写，就有了结果；第二次尝试会说明结果如何。
        await self._retry(EPOLLOUT, sock, sock.connect, address)

    # 运行。

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
            if event & ~EPOLLOUT:  # IN；或者 HUP、ERR，它们跟两个方向都有关
                self._run(self._watched.get(fd, {}).get(EPOLLIN))
            if event & ~EPOLLIN:
                self._run(self._watched.get(fd, {}).get(EPOLLOUT))
        now = self.time()
        while self._timers and self._timers[0][0] <= now:
            self._run(heapq.heappop(self._timers)[2])

    def _run(self, handle):
        if handle is not None and not handle.cancelled():
            handle._run()  # Exception 到 call_exception_handler() 为止

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
        self._stopping = True  # 先把这一圈转完

    def is_closed(self):
        return self._closed

    def close(self):
        self._closed = True
        self._helpers.shutdown()
        self._epoll.close()
        os.close(self._bell)

    # asyncio.Runner 和 asyncio.Task 另外还要的。

    async def shutdown_asyncgens(self):
        """什么也不用做：这个循环不记录异步生成器。"""

    async def shutdown_default_executor(self, timeout=None):
        """什么也不用做：close() 会做。"""

    def get_debug(self):
        return False

    def call_exception_handler(self, context):
        print(context["message"])
        if exception := context.get("exception"):
            traceback.print_exception(exception)
