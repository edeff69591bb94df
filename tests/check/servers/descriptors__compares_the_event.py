"""Compares the event word as if it were a number: a connection that broke off has more bits, and stays."""

import select

import good


class Server(good.Server):
    def run(self):
        while True:
            for fd, event in self.poller.poll():
                if fd == self.door.fileno():
                    self.accept()
                elif fd in self.clients and event in (select.EPOLLIN, select.EPOLLOUT):
                    self.clients[fd].handle(event)


good.main(Server)
