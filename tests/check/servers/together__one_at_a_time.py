"""The next client is served when the one before has left."""

import socket
import sys

with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as door:
    try:
        while True:
            sock, _ = door.accept()
            with sock:
                while data := sock.recv(65536):
                    sock.sendall(data)
    except KeyboardInterrupt:
        pass
