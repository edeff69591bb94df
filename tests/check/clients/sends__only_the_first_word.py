"""Splits what is typed."""

import good


class Client(good.Client):
    def typed(self):
        words = good.os.read(0, 65536)
        self.sock.sendall(words.split()[0]) if words else self.end_of_input()


good.main(Client)
