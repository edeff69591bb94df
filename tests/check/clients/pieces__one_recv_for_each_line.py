"""As courses print it: a line, an answer, a line, an answer. What comes in pieces is shown by and by."""

import socket
import sys

try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
        for line in sys.stdin:
            sock.sendall(line.encode())
            data = sock.recv(65536)
            if not data:
                break
            print(data.decode("utf-8", "replace"), end="")
except OSError as error:
    sys.exit(f"no server: {error}")
except KeyboardInterrupt:
    pass
