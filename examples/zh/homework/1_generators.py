"""作业，答案之一：生成器，加上自己写的调度器，别的什么都不用。

服务器：客户端写来什么，就变成大写送回去，一个线程同时服务许多客户端；客户端：同时等键盘和服
务器。

    IDLE=60 python 1_generators.py server 9898
    python 1_generators.py client 127.0.0.1 9898        (or: nc, or telnet, 127.0.0.1 9898)
"""

import codecs
import heapq
import itertools
import os
import socket
import sys
import time
import traceback
from collections import deque
from select import POLLIN, POLLOUT, poll

IDLE = float(os.environ.get("IDLE", "60"))  # 沉默这么多秒，就请客户端走


# 调度器。任务用 yield（描述符，事件，秒数）来等待：事件来了，或者时间到了，哪个先到就从哪个继
# 续。没有描述符就是睡一会儿；两样都有就是时限。


class Task:
    def __init__(self, coroutine):
        self.coroutine = coroutine
        self.done = False
        self.wish = None  # 它在等的（描述符，事件）
        self.turn = 0  # 它被继续了多少次：用来分辨闹钟是不是过时了


class Scheduler:
    def __init__(self):
        self.ready = deque()  # （任务，异常）：让谁继续，在那里抛出什么
        self.waiting = {}  # （描述符，事件）：任务；可以一个在读，另一个在写
        self.alarms = []  # 一个堆，元素是（时刻，流水号，任务，第几次）
        self.numbers = itertools.count()
        self.poller = poll()
        self.tasks = set()

    def spawn(self, coroutine):
        task = Task(coroutine)
        self.tasks.add(task)
        self.ready.append((task, None))
        return task

    def run(self, main):
        """一直运行到这个协程结束，然后把其他的也结束掉。"""
        self.main = main = self.spawn(main)
        try:
            while not main.done:
                for _ in range(len(self.ready)):  # 轮流：每个走一步
                    self.step(*self.ready.popleft())
                if not main.done:
                    self.wait()
        finally:
            for task in list(self.tasks):
                task.coroutine.close()  # 在它等待的地方抛出 GeneratorExit：每个 `finally` 都会执行

    def step(self, task, error):
        task.turn += 1
        try:
            if error is None:
                fd, event, seconds = task.coroutine.send(None)
            else:
                fd, event, seconds = task.coroutine.throw(error)
        except StopIteration:
            return self.end(task)
        except Exception:
            if task is self.main:  # 由调用 run() 的人来等它
                raise
            traceback.print_exc()  # 说出来；一个任务出错，不能让其他任务陪葬
            return self.end(task)
        if fd is not None:
            task.wish = fd, event
            self.waiting[task.wish] = task
            self.watch(fd)
        if seconds is not None:
            moment = time.monotonic() + seconds
            heapq.heappush(self.alarms, (moment, next(self.numbers), task, task.turn))

    def end(self, task):
        task.done = True
        self.tasks.remove(task)

    def watch(self, fd):
        """告诉轮询器，现在为什么在等这个描述符：读、写、都等、都不等。"""
        events = sum(event for event in (POLLIN, POLLOUT) if (fd, event) in self.waiting)
        if events:
            self.poller.register(fd, events)  # 取代以前说过的
        else:
            self.poller.unregister(fd)

    def wait(self):
        """睡到有谁可以继续；把可以继续的全放进就绪队列。"""
        timeout = None
        if self.ready:
            timeout = 0
        elif self.alarms:
            # poll() 以毫秒计，而且向下取整：加一，不然会醒得太早。
            timeout = max(0, (self.alarms[0][0] - time.monotonic()) * 1000 + 1)
        for fd, event in self.poller.poll(timeout):
            # HUP 和 ERR 跟两个方向都有关：继续运行的那个，下一次调用就会知道。
            for wanted, other in (POLLIN, POLLOUT), (POLLOUT, POLLIN):
                if event & ~other and (fd, wanted) in self.waiting:
                    self.resume(self.waiting[fd, wanted], None)
        while self.alarms and self.alarms[0][0] <= time.monotonic():
            _, _, task, turn = heapq.heappop(self.alarms)
            if turn == task.turn and not task.done:  # 不然它在此期间已经继续过了
                asleep = task.wish is None
                self.resume(task, None if asleep else TimeoutError("was silent for too long"))

    def resume(self, task, error):
        if task.wish is not None:
            del self.waiting[task.wish]
            self.watch(task.wish[0])
            task.wish = None
        task.turn += 1  # 同一时刻才响的闹钟，来晚了
        self.ready.append((task, error))


def sleep(seconds):
    yield None, 0, seconds


class Socket:
    """一个套接字，方法与 socket.socket 同名。前面写上 `yield from`，就谁也不会被堵住。"""

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock = sock

    def accept(self):
        while True:
            yield self.sock.fileno(), POLLIN, None
            try:
                sock, address = self.sock.accept()
                return Socket(sock), address
            except BlockingIOError:  # 来客又走了
                pass

    def recv(self, size, seconds=None):
        while True:
            yield self.sock.fileno(), POLLIN, seconds
            try:
                return self.sock.recv(size)
            except BlockingIOError:  # 白醒了一次
                pass

    def sendall(self, data, seconds=None):
        rest = memoryview(data)  # 对 bytes 切片会复制
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
            except BlockingIOError:
                yield self.sock.fileno(), POLLOUT, seconds

    def connect(self, address):
        try:
            self.sock.connect(address)
        except BlockingIOError:  # 正在进行；一旦可写，就有了结果
            yield self.sock.fileno(), POLLOUT, None
            self.sock.connect(address)  # 再问一次，就知道结果如何

    def shutdown(self, how):
        self.sock.shutdown(how)

    def close(self):
        self.sock.close()


# 服务器：读起来就像第 1 章。


def talk(sock, name):
    print(name, "came", flush=True)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        while data := (yield from sock.recv(65536, IDLE)):
            yield from sock.sendall(decoder.decode(data).upper().encode(), IDLE)
    except OSError as error:
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)
    finally:
        sock.close()


def server(scheduler, listener):
    door = Socket(listener)
    while True:
        try:
            sock, address = yield from door.accept()
        except OSError as error:  # 没有描述符了：不然 accept() 会没完没了地报告
            print("nobody is let in for a second:", error, flush=True)
            yield from sleep(1)
            continue
        scheduler.spawn(talk(sock, "{}:{}".format(*address)))


# 客户端：两个任务，所以等键盘的时候也听得到服务器。


def keyboard(sock):
    try:
        while True:
            # 终端仍是阻塞的，因为背后的 shell 要它这样。等有东西可读了再读，而且有多少读多少，
            # 也就不会阻塞。
            yield sys.stdin.fileno(), POLLIN, None
            typed = os.read(sys.stdin.fileno(), 65536)
            if not typed:
                return sock.shutdown(socket.SHUT_WR)  # 该说的都说完了；最后的回答可能还在路上
            yield from sock.sendall(typed)
    except OSError:  # 服务器走了：正在听的那个任务也会知道，由它来结束客户端
        pass


def client(scheduler, address):
    with socket.socket() as raw:
        sock = Socket(raw)
        yield from sock.connect(address)
        scheduler.spawn(keyboard(sock))
        while answer := (yield from sock.recv(65536)):
            sys.stdout.buffer.write(answer)  # 从头到尾都是字节：没有什么要解码
            sys.stdout.buffer.flush()


def main():
    scheduler = Scheduler()
    match sys.argv[1:]:
        case ["server", port] if port.isdecimal():
            with socket.create_server(("127.0.0.1", int(port)), backlog=1024) as listener:
                print("listening on port", listener.getsockname()[1], flush=True)
                scheduler.run(server(scheduler, listener))
        case ["client", host, port] if port.isdecimal():
            scheduler.run(client(scheduler, (host, int(port))))
        case _:
            print(__doc__, file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
    except (OSError, OverflowError) as error:  # OverflowError：没有这样的端口号
        sys.exit(f"sorry: {error}")
