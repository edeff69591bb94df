"""第 7 章：定时器，以及怎样被别的线程叫醒。

客户端写来什么，服务器就变成大写送回去；一声不吭的请走。

    IDLE=60 python 07_timers.py server 9898
    python 07_timers.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from select import EPOLLIN, EPOLLOUT

from common import Decoder, main
from tinyloop import Loop

IDLE = float(os.environ.get("IDLE", "60"))  # 沉默这么多秒，就请客户端走


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
        self.timer = loop.call_later(IDLE, self.leave, "was silent for too long")
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
        if sent:  # 它还活着
            self.timer.cancel()
            self.timer = self.loop.call_later(IDLE, self.leave, "was silent for too long")
        if self.outbox:
            self.loop.watch(self.sock.fileno(), EPOLLOUT, self.on_writable)
        else:
            self.loop.watch(self.sock.fileno(), EPOLLIN, self.on_readable)

    def leave(self, how):
        print(self.name, how, flush=True)
        self.timer.cancel()
        self.loop.unwatch(self.sock.fileno())
        self.clients.remove(self)
        self.sock.close()


class Door:
    """让来客进来；客满了就关一秒钟。"""

    def __init__(self, loop, listener):
        self.loop = loop
        self.listener = listener
        self.clients = set()
        self.helper = ThreadPoolExecutor(1)  # 留给没有非阻塞办法的调用
        self.open()

    def open(self):
        self.loop.watch(self.listener.fileno(), EPOLLIN, self.on_readable)

    def on_readable(self):
        try:
            sock, address = self.listener.accept()
        except OSError as error:  # 没有描述符了：不然会没完没了地报告
            print("nobody is let in for a second:", error, flush=True)
            self.loop.unwatch(self.listener.fileno())
            self.loop.call_later(1, self.open)
            return
        client = Client(self.loop, self.clients, sock, address)
        # 打听主机名可能要好几秒，而且没有非阻塞的办法。
        self.helper.submit(self.look_up, client, address[0])

    def look_up(self, client, host):
        """在辅助线程里运行，不许碰我们的任何东西：只摇铃。"""
        self.loop.call_soon_threadsafe(self.on_name, client, socket.getfqdn(host))

    def on_name(self, client, name):
        print(client.name, "is at", name, flush=True)

    def close(self):
        self.helper.shutdown()
        for client in list(self.clients):
            client.leave("was sent home")


def serve(listener):
    listener.setblocking(False)
    loop = Loop()
    door = Door(loop, listener)
    try:
        loop.run_forever()
    finally:
        door.close()
        loop.close()


if __name__ == "__main__":
    main(__doc__, serve)
