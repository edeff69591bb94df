"""A thread for each client."""

import socket
import sys
import threading


def talk(sock):
    with sock:
        try:
            while data := sock.recv(65536):
                sock.sendall(data.upper())
        except OSError:
            pass


with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024) as door:
    try:
        while True:
            threading.Thread(target=talk, args=door.accept()[:1], daemon=True).start()
    except KeyboardInterrupt:
        pass
