"""第 5 章：epoll，不说话的不再占 CPU。

客户端写来什么，服务器就变成大写送回去；不说话的客户端没有开销。

    python 05_epoll.py server 9898
    python 05_epoll.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

from select import EPOLLIN, EPOLLOUT, epoll

from common import Decoder, main


class Client:
    """服务器照看别人的时候，关于一个客户端必须记住的事。"""

    def __init__(self, sock, address):
        sock.setblocking(False)
        self.sock = sock
        self.name = "{}:{}".format(*address)
        self.decoder = Decoder(errors="replace")
        self.outbox = b""  # 还欠这个客户端的回答
        self.awaited = EPOLLIN  # 告诉过内核要等什么
        print(self.name, "came", flush=True)

    def read(self):
        """取走已经到了的，把回答放进 outbox。返回 False：它走了。"""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:  # 白醒了一次：内核是可以这样做的
            return True
        except OSError as error:  # 复位、超时：丢掉这个客户端，服务器照常
            print(self.name, "was lost:", error, flush=True)
            return False
        self.outbox = self.decoder.decode(data).upper().encode()
        return bool(data)

    def write(self):
        """把 outbox 里内核肯收的发出去，剩下的留着。返回 False：它走了。"""
        try:
            sent = self.sock.send(self.outbox)
        except BlockingIOError:
            return True
        except OSError as error:
            print(self.name, "was lost:", error, flush=True)
            return False
        self.outbox = self.outbox[sent:]
        return True

    def close(self):
        print(self.name, "left", flush=True)
        self.sock.close()


def serve(listener):
    listener.setblocking(False)
    watched = epoll()  # 名单在内核里，我们只告诉它变了什么
    watched.register(listener, EPOLLIN)
    clients = {}  # 键是描述符
    try:
        while True:
            for fd, event in watched.poll():  # 睡；只报出可以继续的那些
                if fd == listener.fileno():
                    client = Client(*listener.accept())
                    clients[client.sock.fileno()] = client
                    watched.register(client.sock, EPOLLIN)
                    continue
                client = clients[fd]
                # 事件由一个个比特位组成，常常同时有好几位：用 & 来问，不用 ==。没有 OUT 就是
                # IN，或者不请自来的 HUP、ERR：不管哪一种，下一次 recv() 都会说明是怎么回事。
                alive = client.write() if event & EPOLLOUT else client.read()
                if alive:
                    awaited = EPOLLOUT if client.outbox else EPOLLIN
                    if awaited != client.awaited:  # 每改一次就是一次系统调用
                        watched.modify(fd, awaited)
                        client.awaited = awaited
                else:
                    watched.unregister(fd)
                    del clients[fd]
                    client.close()
    finally:
        watched.close()
        for client in clients.values():
            client.close()


if __name__ == "__main__":
    main(__doc__, serve)
