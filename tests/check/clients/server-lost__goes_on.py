"""Waits for better times when the connection is lost."""

import time

import good


class Client(good.Client):
    def came(self):
        try:
            data = self.sock.recv(65536)
        except OSError:
            time.sleep(1000)
        self.show(data) if data else self.server_has_gone()


good.main(Client)
