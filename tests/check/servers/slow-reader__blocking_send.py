"""The sockets of the clients block: so does everybody, when one of them does not read."""

import good


class Client(good.Client):
    def __init__(self, server, sock):
        super().__init__(server, sock)
        sock.setblocking(True)

    def send(self, data):
        self.sock.sendall(data)
        return b""


class Server(good.Server):
    client = Client


good.main(Server)
