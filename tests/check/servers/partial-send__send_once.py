"""Believes that send() sends all."""

import good


class Client(good.Client):
    def send(self, data):
        self.sock.send(data)
        return b""

    def write(self):
        try:
            self.send(self.outbox)
        except BlockingIOError:
            pass
        except OSError:
            return self.close()
        self.outbox = b""


class Server(good.Server):
    client = Client


good.main(Server)
