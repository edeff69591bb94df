"""Chapter 5: epoll, and the cost of the silent ones is gone.

The server sends back what a client writes, in upper case; silent clients cost nothing.

    python 05_epoll.py server 9898
    python 05_epoll.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

from select import EPOLLIN, EPOLLOUT, epoll

from common import Decoder, main


class Client:
    """What the server must remember of one client while it looks after the others."""

    def __init__(self, sock, address):
        sock.setblocking(False)
        self.sock = sock
        self.name = "{}:{}".format(*address)
        self.decoder = Decoder(errors="replace")
        self.outbox = b""  # what this client is still owed
        self.awaited = EPOLLIN  # what the kernel was told to wait for
        print(self.name, "came", flush=True)

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
    watched = epoll()  # the list lives in the kernel, and we only tell it what changes
    watched.register(listener, EPOLLIN)
    clients = {}  # by descriptor
    try:
        while True:
            for fd, event in watched.poll():  # sleeps; names only those that can go on
                if fd == listener.fileno():
                    client = Client(*listener.accept())
                    clients[client.sock.fileno()] = client
                    watched.register(client.sock, EPOLLIN)
                    continue
                client = clients[fd]
                # An event is a word of bits, often several at once: ask with &, not with ==.
                # Without OUT it is IN, or HUP or ERR, which come unasked: in each case the
                # next recv() tells what it is about.
                alive = client.write() if event & EPOLLOUT else client.read()
                if alive:
                    awaited = EPOLLOUT if client.outbox else EPOLLIN
                    if awaited != client.awaited:  # each change is a system call
                        watched.modify(fd, awaited)
                        client.awaited = awaited
                else:
                    watched.unregister(fd)
                    del clients[fd]
                    client.close()
    finally:
        watched.close()
        for client in clients.values():
            client.close()


if __name__ == "__main__":
    main(__doc__, serve)
