"""轮询服务器，改好的。剩下的毛病是模型本身的：它从不睡。

python polling_repaired.py            port 9999
python polling_repaired.py PORT
"""

import codecs
import socket
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 9999


class Client:
    def __init__(self, sock, address):
        sock.setblocking(False)  # 在 Linux 上，它不会从监听套接字继承
        self.sock = sock
        self.address = address
        # 每个客户端一个：数据包断在一个字中间时，由它留着前半个字。
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.answer = b""

    def step(self):
        """做不用等就能做的事。返回 False：客户端走了。"""
        try:
            if self.answer:  # 先让它取走欠它的：取完了才再读它
                self.answer = self.answer[self.sock.send(self.answer) :]
                return True
            data = self.sock.recv(1024)
        except BlockingIOError:  # 只有这一个不是错误；其余的都要说出来
            return True
        except OSError as error:
            print("lost:", self.address, error)
            return False
        text = self.decoder.decode(data)
        if text:
            print("got:", text)
            self.answer = text.upper().encode()
        return bool(data)


def serve(server):
    clients = []
    while True:
        try:
            clients.append(Client(*server.accept()))
            print("came:", clients[-1].address)
        except BlockingIOError:
            pass
        for client in list(clients):  # 遍历副本，因为途中会删除客户端
            if not client.step():
                print("left:", client.address)
                clients.remove(client)
                client.sock.close()


if __name__ == "__main__":
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", PORT))
        server.listen(1024)
        server.setblocking(False)
        print("listening on port", server.getsockname()[1])
        try:
            serve(server)
        except KeyboardInterrupt:
            print("stopped")
