"""Chapter 2: sockets that never wait, asked in a circle.

The server sends back what a client writes, in upper case; now to many at once.

    python 02_polling.py server 9898
    python 02_polling.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

from common import Decoder, main


class Client:
    """What the server must remember of one client while it looks after the others."""

    def __init__(self, sock, address):
        sock.setblocking(False)
        self.sock = sock
        self.name = "{}:{}".format(*address)
        self.decoder = Decoder(errors="replace")
        self.outbox = b""  # what this client is still owed
        print(self.name, "came", flush=True)

    def read(self):
        """Take what has come, put the answer into the outbox. False: it has left."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:  # nothing there: not an error, only "not now"
            return True
        except OSError as error:  # reset, timed out: this client is lost, the server is not
            print(self.name, "was lost:", error, flush=True)
            return False
        self.outbox = self.decoder.decode(data).upper().encode()
        return bool(data)

    def write(self):
        """Send what the kernel takes of the outbox, keep the rest. False: it has left."""
        try:
            sent = self.sock.send(self.outbox)
        except BlockingIOError:  # no room: this client does not read what it gets
            return True
        except OSError as error:
            print(self.name, "was lost:", error, flush=True)
            return False
        self.outbox = self.outbox[sent:]
        return True

    def close(self):
        print(self.name, "left", flush=True)
        self.sock.close()


def serve(listener):
    listener.setblocking(False)
    clients = []
    try:
        go_round(listener, clients)
    finally:
        for client in clients:
            client.close()


# A function of its own: Python 3.13 forgets the `finally` of a loop that is written inside
# the `try` when Ctrl-C comes at the moment at which it jumps back.
def go_round(listener, clients):
    while True:  # and nothing in it ever sleeps
        try:
            clients.append(Client(*listener.accept()))
        except BlockingIOError:  # nobody at the door
            pass
        # A copy: whoever removes from the list he walks on skips the next one.
        for client in list(clients):
            # Whoever is owed an answer is not read from: a client that only writes
            # and never reads cannot fill our memory.
            alive = client.write() if client.outbox else client.read()
            if not alive:
                clients.remove(client)
                client.close()


if __name__ == "__main__":
    main(__doc__, serve)
