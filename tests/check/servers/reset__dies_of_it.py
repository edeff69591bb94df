"""Has never heard of ConnectionResetError."""

import good


class Client(good.Client):
    def receive(self):
        return self.sock.recv(65536)


class Server(good.Server):
    client = Client


good.main(Server)
