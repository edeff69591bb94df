"""Does not say SO_REUSEADDR."""

import socket

import good


def create_server(address, backlog):
    door = socket.socket()
    door.bind(address)
    door.listen(backlog)
    return door


good.socket.create_server = create_server
good.main(good.Server)
