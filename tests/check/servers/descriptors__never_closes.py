"""Forgets its clients without closing them."""

import good

forgotten = []


class Client(good.Client):
    def close(self):
        self.server.poller.unregister(self.sock)
        del self.server.clients[self.sock.fileno()]
        forgotten.append(self.sock)


class Server(good.Server):
    client = Client


good.main(Server)
