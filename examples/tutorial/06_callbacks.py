"""Chapter 6: callbacks. The loop turns round, and knows nothing of upper case.

The server sends back what a client writes, in upper case.

    python 06_callbacks.py server 9898
    python 06_callbacks.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import traceback
from select import EPOLLIN, EPOLLOUT, epoll

from common import Decoder, main


class Loop:
    """Waits for descriptors and calls back. What for is not its business."""

    def __init__(self):
        self.epoll = epoll()
        self.watched = {}  # descriptor: (event, callback)

    def watch(self, fd, event, callback):
        """Call callback() whenever the event holds; takes the place of an earlier wish."""
        before = self.watched.get(fd)
        if before is None:
            self.epoll.register(fd, event)
        elif before[0] != event:
            self.epoll.modify(fd, event)
        self.watched[fd] = event, callback

    def unwatch(self, fd):
        del self.watched[fd]
        self.epoll.unregister(fd)

    def run_forever(self):
        while True:
            self.turn()

    def turn(self):
        for fd, _event in self.epoll.poll():
            # Looked up now, not before: a callback just called may have closed this one.
            if fd in self.watched:
                _, callback = self.watched[fd]
                self.call(callback)

    def call(self, callback, *args):
        try:
            callback(*args)
        except Exception:  # not BaseException: Ctrl-C goes through
            traceback.print_exc()  # one client's fault: said aloud, and not the others' end

    def close(self):
        self.epoll.close()


class Client:
    """One client: its callbacks, and what they must remember from one to the next."""

    def __init__(self, loop, clients, sock, address):
        sock.setblocking(False)
        self.loop = loop
        self.clients = clients
        self.sock = sock
        self.name = "{}:{}".format(*address)
        self.decoder = Decoder(errors="replace")
        self.outbox = b""  # what this client is still owed
        clients.add(self)
        loop.watch(sock.fileno(), EPOLLIN, self.on_readable)
        print(self.name, "came", flush=True)

    def on_readable(self):
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:  # woken for nothing: the kernel may do that
            return
        except OSError as error:
            return self.leave(f"was lost: {error}")
        if not data:
            return self.leave("left")
        self.outbox = self.decoder.decode(data).upper().encode()
        self.on_writable()  # there is nearly always room: try first, wait only if not

    def on_writable(self):
        try:
            sent = self.sock.send(self.outbox)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            return self.leave(f"was lost: {error}")
        self.outbox = self.outbox[sent:]
        if self.outbox:
            self.loop.watch(self.sock.fileno(), EPOLLOUT, self.on_writable)
        else:
            self.loop.watch(self.sock.fileno(), EPOLLIN, self.on_readable)

    def leave(self, how):
        print(self.name, how, flush=True)
        self.loop.unwatch(self.sock.fileno())
        self.clients.remove(self)
        self.sock.close()


def serve(listener):
    listener.setblocking(False)
    loop = Loop()
    clients = set()

    def on_caller():
        try:
            sock, address = listener.accept()
        except OSError as error:
            print("nobody let in:", error, flush=True)
            return
        Client(loop, clients, sock, address)

    loop.watch(listener.fileno(), EPOLLIN, on_caller)
    try:
        loop.run_forever()
    finally:
        for client in list(clients):
            client.leave("was sent home")
        loop.close()


if __name__ == "__main__":
    main(__doc__, serve)
