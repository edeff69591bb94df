"""A correct server on epoll, which every faulty one beside it is a variation of.

Each of them overrides the one thing that it does wrong. Run it with a port.
"""

import codecs
import select
import socket
import sys


class Client:
    def __init__(self, server, sock):
        self.server = server
        self.sock = sock
        sock.setblocking(False)
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.outbox = b""
        server.poller.register(sock, select.EPOLLIN)

    def handle(self, event):
        if event & select.EPOLLOUT:
            self.write()
        else:
            self.read()

    def read(self):
        data = self.receive()
        if data is None:
            return
        if not data:
            return self.close()
        self.outbox += self.answer(data)
        self.write()

    def receive(self):
        try:
            return self.sock.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def answer(self, data):
        return self.decoder.decode(data).upper().encode()

    def write(self):
        try:
            self.outbox = self.send(self.outbox)
        except BlockingIOError:
            pass
        except OSError:
            return self.close()
        self.watch(select.EPOLLOUT if self.outbox else select.EPOLLIN)

    def send(self, data):
        return data[self.sock.send(data) :]

    def watch(self, events):
        self.server.poller.modify(self.sock, events)

    def close(self):
        self.server.poller.unregister(self.sock)
        del self.server.clients[self.sock.fileno()]
        self.sock.close()


class Server:
    client = Client
    timeout = -1

    def __init__(self, port):
        self.door = socket.create_server(("127.0.0.1", port), backlog=128)
        self.poller = select.epoll()
        self.poller.register(self.door, select.EPOLLIN)
        self.clients = {}

    def accept(self):
        sock, _ = self.door.accept()
        self.clients[sock.fileno()] = self.client(self, sock)

    def run(self):
        while True:
            for fd, event in self.poller.poll(self.timeout):
                if fd == self.door.fileno():
                    self.accept()
                elif fd in self.clients:
                    self.clients[fd].handle(event)


def main(server):
    try:
        server(int(sys.argv[1])).run()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main(Server)
