"""第 5 章下半：每次变化只报告一次的 epoll（边缘触发）。

客户端写来什么，服务器就变成大写送回去；每个事件只报告一次。

    python 05_epoll_edge.py server 9898
    python 05_epoll_edge.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

from select import EPOLLET, EPOLLIN, EPOLLOUT, epoll

from common import Decoder, main


class Client:
    """服务器照看别人的时候，关于一个客户端必须记住的事。"""

    def __init__(self, sock, address):
        sock.setblocking(False)
        self.sock = sock
        self.name = "{}:{}".format(*address)
        self.decoder = Decoder(errors="replace")
        self.outbox = b""  # 还欠这个客户端的回答
        print(self.name, "came", flush=True)

    def read(self):
        """取走已经到了的，把回答放进 outbox。返回 False：它走了。"""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            raise  # serve() 必须知道：从现在起，内核才会再报告
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
            raise
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
    watched = epoll()
    watched.register(listener, EPOLLIN)  # 这一个仍用水平触发
    clients = {}  # 键是描述符
    hot = set()  # 已经被点过名、还没有回答“现在不行”的：没有人会再点它的名
    try:
        while True:
            for fd, _event in watched.poll(0 if hot else -1):
                if fd == listener.fileno():
                    client = Client(*listener.accept())
                    clients[client.sock.fileno()] = client
                    # 两个方向一次注册好，以后不再修改：变化只报告一次，所以不会有哪个套接字只
                    # 因为可写就不停地叫醒我们。
                    watched.register(client.sock, EPOLLIN | EPOLLOUT | EPOLLET)
                else:
                    hot.add(clients[fd])
            # 每个走一步，一圈一圈地转：说个没完的，也不能把我们缠住。
            for client in list(hot):
                try:
                    alive = client.write() if client.outbox else client.read()
                except BlockingIOError:
                    hot.remove(client)
                    continue
                if not alive:
                    hot.remove(client)
                    del clients[client.sock.fileno()]
                    client.close()  # 同时也就不再监视它：没有别人持有这个套接字
    finally:
        watched.close()
        for client in clients.values():
            client.close()


if __name__ == "__main__":
    main(__doc__, serve)
