"""Takes b'' for an empty message."""

import time

import good


class Client(good.Client):
    def server_has_gone(self):
        time.sleep(0.1)


good.main(Client)
