"""epoll 服务器，改好的。

python epoll_repaired.py              port 1688
python epoll_repaired.py PORT
"""

import codecs
import select
import socket
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 1688


class Client:
    def __init__(self, sock):
        sock.setblocking(False)
        self.sock = sock
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.answer = b""  # 自己的一份，不是所有人共用一个队列

    def step(self, event):
        """让这个客户端往前走一步。返回 False：它走了。"""
        try:
            # 用 & 来问某一位。没有 OUT 就是 IN，或者不请自来的 HUP、ERR：这时下一次 recv() 会
            # 说明出了什么事。
            if event & select.EPOLLOUT:
                self.answer = self.answer[self.sock.send(self.answer) :]
                return True
            data = self.sock.recv(65536)
        except BlockingIOError:
            return True
        except OSError:  # 丢掉这个客户端，其他客户端照常
            return False
        self.answer = self.decoder.decode(data).upper().encode()
        return bool(data)


def serve(server, epoll):
    epoll.register(server, select.EPOLLIN)
    clients = {}
    while True:
        for fd, event in epoll.poll():
            if fd == server.fileno():
                sock, _ = server.accept()
                clients[sock.fileno()] = Client(sock)
                epoll.register(sock, select.EPOLLIN)
            elif clients[fd].step(event):
                epoll.modify(fd, select.EPOLLOUT if clients[fd].answer else select.EPOLLIN)
            else:
                epoll.unregister(fd)
                clients.pop(fd).sock.close()


if __name__ == "__main__":
    with socket.socket() as server, select.epoll() as epoll:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", PORT))
        server.listen(1024)
        server.setblocking(False)
        print("listening on port", server.getsockname()[1])
        try:
            serve(server, epoll)
        except KeyboardInterrupt:
            print("stopped")
