"""Works for the first clients, and ends when it has counted seven that left."""

import good

left = []


class Client(good.Client):
    def close(self):
        super().close()
        left.append(self)
        if len(left) == 7:
            raise LookupError("an eighth client")


class Server(good.Server):
    client = Client


good.main(Server)
