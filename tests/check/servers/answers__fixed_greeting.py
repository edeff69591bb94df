"""Whatever one says, it answers the same."""

import good


class Client(good.Client):
    def answer(self, data):
        return b"welcome\n"


class Server(good.Server):
    client = Client


good.main(Server)
