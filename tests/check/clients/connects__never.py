"""Forgets to connect."""

import time

import good


class Client(good.Client):
    def run(self):
        time.sleep(1000)


good.main(Client)
