"""Chapter 3: select, and the server sleeps.

The server sends back what a client writes, in upper case, and sleeps in between.

    python 03_select.py server 9898
    python 03_select.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import select

from common import Decoder, main

FD_SETSIZE = 1024  # fixed when the C library was built; no setting moves it


class Client:
    """What the server must remember of one client while it looks after the others."""

    def __init__(self, sock, address):
        sock.setblocking(False)
        self.sock = sock
        self.name = "{}:{}".format(*address)
        self.decoder = Decoder(errors="replace")
        self.outbox = b""  # what this client is still owed
        print(self.name, "came", flush=True)

    def fileno(self):
        """select() takes any object that says which descriptor it stands for."""
        return self.sock.fileno()

    def read(self):
        """Take what has come, put the answer into the outbox. False: it has left."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:  # woken for nothing: the kernel may do that
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
        except BlockingIOError:
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
    reading = {listener}  # whom we wait to hear from
    writing = set()  # whom we owe an answer, and wait until there is room for it
    try:
        while True:
            # Sleeps until at least one of them can go on, and says which.
            readable, writable, _ = select.select(reading, writing, [])
            for client in readable:
                if client is listener:
                    welcome(listener, reading)
                elif not client.read():
                    reading.remove(client)
                    client.close()
                elif client.outbox:  # from reading to writing ...
                    reading.remove(client)
                    writing.add(client)
            for client in writable:
                if not client.write():
                    writing.remove(client)
                    client.close()
                elif not client.outbox:  # ... and back
                    writing.remove(client)
                    reading.add(client)
    finally:
        for client in (reading | writing) - {listener}:
            client.close()


def welcome(listener, reading):
    """Let one caller in, or turn it away if select() has no place for it."""
    sock, address = listener.accept()
    if sock.fileno() < FD_SETSIZE:
        reading.add(Client(sock, address))
    else:
        print("select has no place for descriptor", sock.fileno(), flush=True)
        sock.close()


if __name__ == "__main__":
    main(__doc__, serve)
