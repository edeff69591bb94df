"""Has never heard of ConnectionRefusedError."""

import socket
import sys

import good


class Client(good.Client):
    def connect(self):
        return socket.create_connection((sys.argv[1], int(sys.argv[2])))


good.main(Client)
