"""Prints bytes as Python writes them."""

import good


class Client(good.Client):
    def show(self, data):
        print(data)


good.main(Client)
