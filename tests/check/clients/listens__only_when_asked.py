"""Waits for a whole line from the server after each line typed, and for the keyboard otherwise."""

import socket
import sys

try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock, sock.makefile() as answers:
        for line in sys.stdin:
            sock.sendall(line.encode())
            print(answers.readline(), end="")
except OSError as error:
    sys.exit(f"no server: {error}")
except KeyboardInterrupt:
    pass
