"""Decodes each packet, too, but works a while on each, for the newest client first: an answer to that one
says nothing about what has been read of the others.
"""

import time

import good


class Client(good.Client):
    def answer(self, data):
        return data.decode().upper().encode()

    def write(self):
        super().write()
        time.sleep(0.005)


class Server(good.Server):
    client = Client

    def run(self):
        while True:
            for fd, event in sorted(self.poller.poll(), reverse=True):
                if fd == self.door.fileno():
                    self.accept()
                elif fd in self.clients:
                    self.clients[fd].handle(event)


good.main(Server)
