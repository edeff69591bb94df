"""Watches for writing all the time, although there is nothing to write."""

import select

import good


class Client(good.Client):
    def watch(self, events):
        super().watch(select.EPOLLIN | select.EPOLLOUT)

    def handle(self, event):
        self.write() if self.outbox else self.read()


class Server(good.Server):
    client = Client


good.main(Server)
