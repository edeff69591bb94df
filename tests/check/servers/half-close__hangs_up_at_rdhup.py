"""Takes the end of what a client says for the end of what it hears."""

import select

import good


class Client(good.Client):
    def __init__(self, server, sock):
        super().__init__(server, sock)
        self.watch(select.EPOLLIN)

    def watch(self, events):
        super().watch(events | select.EPOLLRDHUP)

    def handle(self, event):
        if event & select.EPOLLRDHUP:
            return self.close()
        super().handle(event)


class Server(good.Server):
    client = Client


good.main(Server)
