"""第 6 章：回调。循环转起来了，什么大写，它一概不知。

客户端写来什么，服务器就变成大写送回去。

    python 06_callbacks.py server 9898
    python 06_callbacks.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import traceback
from select import EPOLLIN, EPOLLOUT, epoll

from common import Decoder, main


class Loop:
    """等描述符，然后调用回调。至于为了什么，不关它的事。"""

    def __init__(self):
        self.epoll = epoll()
        self.watched = {}  # 描述符：（事件，回调）

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

    def run_forever(self):
        while True:
            self.turn()

    def turn(self):
        for fd, _event in self.epoll.poll():
            # 到这时才查表，不能提前：刚刚调用过的回调，可能已经关掉了这一个。
            if fd in self.watched:
                _, callback = self.watched[fd]
                self.call(callback)

    def call(self, callback, *args):
        try:
            callback(*args)
        except Exception:  # 不是 BaseException：Ctrl-C 要放过去
            traceback.print_exc()  # 一个客户端出了错：说出来，但不能让其他人陪葬

    def close(self):
        self.epoll.close()


class Client:
    """一个客户端：它的各个回调，以及从一个回调到下一个必须记住的事。"""

    def __init__(self, loop, clients, sock, address):
        sock.setblocking(False)
        self.loop = loop
        self.clients = clients
        self.sock = sock
        self.name = "{}:{}".format(*address)
        self.decoder = Decoder(errors="replace")
        self.outbox = b""  # 还欠这个客户端的回答
        clients.add(self)
        loop.watch(sock.fileno(), EPOLLIN, self.on_readable)
        print(self.name, "came", flush=True)

    def on_readable(self):
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:  # 白醒了一次：内核是可以这样做的
            return
        except OSError as error:
            return self.leave(f"was lost: {error}")
        if not data:
            return self.leave("left")
        self.outbox = self.decoder.decode(data).upper().encode()
        self.on_writable()  # 几乎总有空位：先试，不行再等

    def on_writable(self):
        try:
            sent = self.sock.send(self.outbox)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            return self.leave(f"was lost: {error}")
        self.outbox = self.outbox[sent:]
        if self.outbox:
            self.loop.watch(self.sock.fileno(), EPOLLOUT, self.on_writable)
        else:
            self.loop.watch(self.sock.fileno(), EPOLLIN, self.on_readable)

    def leave(self, how):
        print(self.name, how, flush=True)
        self.loop.unwatch(self.sock.fileno())
        self.clients.remove(self)
        self.sock.close()


def serve(listener):
    listener.setblocking(False)
    loop = Loop()
    clients = set()

    def on_caller():
        try:
            sock, address = listener.accept()
        except OSError as error:
            print("nobody let in:", error, flush=True)
            return
        Client(loop, clients, sock, address)

    loop.watch(listener.fileno(), EPOLLIN, on_caller)
    try:
        loop.run_forever()
    finally:
        for client in list(clients):
            client.leave("was sent home")
        loop.close()


if __name__ == "__main__":
    main(__doc__, serve)
