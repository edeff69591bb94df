"""Asks again and again instead of sleeping."""

import good


class Server(good.Server):
    timeout = 0


good.main(Server)
