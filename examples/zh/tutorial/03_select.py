"""第 3 章：select，服务器终于能睡了。

客户端写来什么，服务器就变成大写送回去，其间睡着等。

    python 03_select.py server 9898
    python 03_select.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import select

from common import Decoder, main

FD_SETSIZE = 1024  # 编译 C 库时就定死了，任何设置都改不了


class Client:
    """服务器照看别人的时候，关于一个客户端必须记住的事。"""

    def __init__(self, sock, address):
        sock.setblocking(False)
        self.sock = sock
        self.name = "{}:{}".format(*address)
        self.decoder = Decoder(errors="replace")
        self.outbox = b""  # 还欠这个客户端的回答
        print(self.name, "came", flush=True)

    def fileno(self):
        """任何对象，只要说得出自己代表哪个描述符，select() 都收。"""
        return self.sock.fileno()

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
    reading = {listener}  # 等着听谁说话
    writing = set()  # 还欠着谁的回答，要等有空位才能发
    try:
        while True:
            # 一直睡到至少有一个可以继续，并说出是哪些。
            readable, writable, _ = select.select(reading, writing, [])
            for client in readable:
                if client is listener:
                    welcome(listener, reading)
                elif not client.read():
                    reading.remove(client)
                    client.close()
                elif client.outbox:  # 从 reading 挪到 writing ……
                    reading.remove(client)
                    writing.add(client)
            for client in writable:
                if not client.write():
                    writing.remove(client)
                    client.close()
                elif not client.outbox:  # …… 再挪回来
                    writing.remove(client)
                    reading.add(client)
    finally:
        for client in (reading | writing) - {listener}:
            client.close()


def welcome(listener, reading):
    """让一位来客进来；select() 放不下它，就请走。"""
    sock, address = listener.accept()
    if sock.fileno() < FD_SETSIZE:
        reading.add(Client(sock, address))
    else:
        print("select has no place for descriptor", sock.fileno(), flush=True)
        sock.close()


if __name__ == "__main__":
    main(__doc__, serve)
