"""What one client says is answered to whoever came last."""

import good


class Client(good.Client):
    def send(self, data):
        last = self.server.clients[max(self.server.clients)]
        return data[last.sock.send(data) :]


class Server(good.Server):
    client = Client


good.main(Server)
