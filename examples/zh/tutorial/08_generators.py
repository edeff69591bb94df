"""第 8 章：协程，先用生成器。代码看上去又像阻塞的了。

客户端写来什么，服务器就变成大写送回去；一声不吭的请走。

    IDLE=60 python 08_generators.py server 9898
    python 08_generators.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import os
from select import EPOLLIN, EPOLLOUT

from common import Decoder, main
from tinyloop import Loop

IDLE = float(os.environ.get("IDLE", "60"))  # 沉默这么多秒，就请客户端走


class Task:
    """驱动一个协程：让它跑到下一个 yield，等到了它要的，再接着驱动。"""

    running = set()

    def __init__(self, loop, coroutine):
        self.loop = loop
        self.coroutine = coroutine
        self.timer = None
        self.sock = None  # 如果等的是套接字，是哪一个
        self.running.add(self)
        loop.call_soon(self.step)

    def step(self, error=None):
        try:
            if error is None:
                self.sock, event, seconds = self.coroutine.send(None)
            else:
                self.sock, event, seconds = self.coroutine.throw(error)
        except StopIteration:  # 它返回了
            self.running.remove(self)
            return
        except BaseException:  # 它失败了：由调用我们的人报告
            self.running.remove(self)
            raise
        if self.sock is not None:
            self.loop.watch(self.sock.fileno(), event, self.on_event)
        if seconds is not None:
            self.timer = self.loop.call_later(seconds, self.on_time)

    def on_event(self):
        self.loop.unwatch(self.sock.fileno())
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.step()

    def on_time(self):
        self.timer = None
        if self.sock is None:  # 它只是想睡一会儿
            self.step()
        else:  # 事件没有来：异常在协程等待的地方抛出
            self.loop.unwatch(self.sock.fileno())
            self.step(TimeoutError("was silent for too long"))


def wait(sock, event, seconds=None):
    """唯一等待的地方：把要等的交给 Task.step()，自己在这里挂起。"""
    yield sock, event, seconds


def sleep(seconds):
    yield from wait(None, 0, seconds)


def recv(sock, seconds=None):
    while True:
        # 已经有东西可读时也要等：别人就在这时轮到。
        yield from wait(sock, EPOLLIN, seconds)
        try:
            return sock.recv(65536)
        except BlockingIOError:  # 白醒了一次
            pass


def sendall(sock, data, seconds=None):
    while data:
        try:
            data = data[sock.send(data) :]
        except BlockingIOError:
            yield from wait(sock, EPOLLOUT, seconds)


def accept(listener):
    while True:
        yield from wait(listener, EPOLLIN)
        try:
            return listener.accept()
        except BlockingIOError:  # 来客又走了
            pass
        except OSError as error:  # 没有描述符了
            print("nobody is let in for a second:", error, flush=True)
            yield from sleep(1)


def talk(sock, name):
    """响应一个客户端，直到它离开。没有别人要为此等待。"""
    print(name, "came", flush=True)
    decoder = Decoder(errors="replace")
    try:
        while data := (yield from recv(sock, IDLE)):
            answer = decoder.decode(data).upper().encode()
            yield from sendall(sock, answer, IDLE)
    except OSError as error:  # 复位，或者 TimeoutError，它也是一种 OSError
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)
    finally:
        sock.close()


def welcome(loop, listener):
    while True:
        sock, address = yield from accept(listener)
        sock.setblocking(False)
        Task(loop, talk(sock, "{}:{}".format(*address)))


def serve(listener):
    listener.setblocking(False)
    loop = Loop()
    Task(loop, welcome(loop, listener))
    try:
        loop.run_forever()
    finally:
        for task in Task.running:
            task.coroutine.close()  # 在它等待的地方抛出 GeneratorExit：它的 `finally` 会执行
        loop.close()


if __name__ == "__main__":
    main(__doc__, serve)
