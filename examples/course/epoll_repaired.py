"""The epoll server, repaired.

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
        self.answer = b""  # its own, not one queue for all

    def step(self, event):
        """Go on with this client. False: it has left."""
        try:
            # A bit is asked for with &. Without OUT it is IN, or HUP or ERR, which come unasked:
            # then the next recv() tells what happened.
            if event & select.EPOLLOUT:
                self.answer = self.answer[self.sock.send(self.answer) :]
                return True
            data = self.sock.recv(65536)
        except BlockingIOError:
            return True
        except OSError:  # this client is lost, the others are not
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
