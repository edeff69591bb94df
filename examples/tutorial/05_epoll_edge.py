"""Chapter 5, second half: epoll that tells each change once (edge-triggered).

The server sends back what a client writes, in upper case; an event is told only once.

    python 05_epoll_edge.py server 9898
    python 05_epoll_edge.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

from select import EPOLLET, EPOLLIN, EPOLLOUT, epoll

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
        except BlockingIOError:
            raise  # serve() must know: only now will the kernel tell again
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
            raise
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
    watched = epoll()
    watched.register(listener, EPOLLIN)  # this one stays level-triggered
    clients = {}  # by descriptor
    hot = set()  # who was named and has not yet answered "not now": nobody will name it again
    try:
        while True:
            for fd, _event in watched.poll(0 if hot else -1):
                if fd == listener.fileno():
                    client = Client(*listener.accept())
                    clients[client.sock.fileno()] = client
                    # Both at once, and never modified again: a change is told once, so
                    # nobody is woken all the time by a socket that merely could send.
                    watched.register(client.sock, EPOLLIN | EPOLLOUT | EPOLLET)
                else:
                    hot.add(clients[fd])
            # One step for each, round and round: whoever sends without end must not keep us.
            for client in list(hot):
                try:
                    alive = client.write() if client.outbox else client.read()
                except BlockingIOError:
                    hot.remove(client)
                    continue
                if not alive:
                    hot.remove(client)
                    del clients[client.sock.fileno()]
                    client.close()  # which also ends the watch: nobody else has this socket
    finally:
        watched.close()
        for client in clients.values():
            client.close()


if __name__ == "__main__":
    main(__doc__, serve)
