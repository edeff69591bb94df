"""第 2 章：从不等待的套接字，挨个问一圈。

客户端写来什么，服务器就变成大写送回去；现在能同时服务许多客户端。

    python 02_polling.py server 9898
    python 02_polling.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

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
        except BlockingIOError:  # 现在没有东西可读：这不是错误，只是“现在不行”
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
        except BlockingIOError:  # 没有空位：这个客户端不取走自己的回答
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
    clients = []
    try:
        go_round(listener, clients)
    finally:
        for client in clients:
            client.close()


# 单独写成一个函数：循环若直接写在 `try` 里，Ctrl-C 又恰好落在它跳回开头的那一刻，Python 3.13
# 会漏掉 `finally`。
def go_round(listener, clients):
    while True:  # 里面没有任何东西会睡
        try:
            clients.append(Client(*listener.accept()))
        except BlockingIOError:  # 门口没有人
            pass
        # 遍历副本：边遍历边删，会跳过下一个。
        for client in list(clients):
            # 还欠着谁的回答，就不再读谁：只写不读的客户端，塞不满我们的内存。
            alive = client.write() if client.outbox else client.read()
            if not alive:
                clients.remove(client)
                client.close()


if __name__ == "__main__":
    main(__doc__, serve)
