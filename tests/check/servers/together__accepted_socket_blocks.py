"""Polls in a circle. The door does not block, but what accept() returns does, and there it waits."""

import socket
import sys

door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
door.setblocking(False)
clients = []
try:
    while True:
        try:
            clients.append(door.accept()[0])
        except BlockingIOError:
            pass
        for client in list(clients):
            data = client.recv(1024)
            if data:
                client.sendall(data)
            else:
                clients.remove(client)
                client.close()
except KeyboardInterrupt:
    pass
