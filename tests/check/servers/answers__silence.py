"""Takes everything and says nothing."""

import good


class Client(good.Client):
    def answer(self, data):
        return b""


class Server(good.Server):
    client = Client


good.main(Server)
