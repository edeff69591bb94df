"""Lets a client in, and waits for what it has to say."""

import good


class Client(good.Client):
    def __init__(self, server, sock):
        first = sock.recv(65536)
        super().__init__(server, sock)
        self.outbox = self.answer(first)
        server.clients[sock.fileno()] = self
        if first:
            self.write()


class Server(good.Server):
    client = Client


good.main(Server)
