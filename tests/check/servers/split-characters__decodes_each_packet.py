"""Believes that each packet holds whole characters; half a one ends the program."""

import good


class Client(good.Client):
    def answer(self, data):
        return data.decode().upper().encode()


class Server(good.Server):
    client = Client


good.main(Server)
