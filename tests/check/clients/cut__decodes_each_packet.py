"""Believes that each packet holds whole characters."""

import good


class Client(good.Client):
    def show(self, data):
        print(data.decode(), end="")


good.main(Client)
