"""Chapter 7: timers, and being woken up from another thread.

The server sends back what a client writes, in upper case, and sends home who is silent.

    IDLE=60 python 07_timers.py server 9898
    python 07_timers.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from select import EPOLLIN, EPOLLOUT

from common import Decoder, main
from tinyloop import Loop

IDLE = float(os.environ.get("IDLE", "60"))  # seconds of silence, then a client is sent home


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
        self.timer = loop.call_later(IDLE, self.leave, "was silent for too long")
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
        if sent:  # a sign of life
            self.timer.cancel()
            self.timer = self.loop.call_later(IDLE, self.leave, "was silent for too long")
        if self.outbox:
            self.loop.watch(self.sock.fileno(), EPOLLOUT, self.on_writable)
        else:
            self.loop.watch(self.sock.fileno(), EPOLLIN, self.on_readable)

    def leave(self, how):
        print(self.name, how, flush=True)
        self.timer.cancel()
        self.loop.unwatch(self.sock.fileno())
        self.clients.remove(self)
        self.sock.close()


class Door:
    """Lets callers in, and closes for a second when the house is full."""

    def __init__(self, loop, listener):
        self.loop = loop
        self.listener = listener
        self.clients = set()
        self.helper = ThreadPoolExecutor(1)  # for calls that cannot be made non-blocking
        self.open()

    def open(self):
        self.loop.watch(self.listener.fileno(), EPOLLIN, self.on_readable)

    def on_readable(self):
        try:
            sock, address = self.listener.accept()
        except OSError as error:  # no descriptor left: we would be told so without end
            print("nobody is let in for a second:", error, flush=True)
            self.loop.unwatch(self.listener.fileno())
            self.loop.call_later(1, self.open)
            return
        client = Client(self.loop, self.clients, sock, address)
        # Asking for a host's name may take seconds, and there is no non-blocking way to ask.
        self.helper.submit(self.look_up, client, address[0])

    def look_up(self, client, host):
        """Runs in the helper's thread, which must touch nothing of ours: it only rings."""
        self.loop.call_soon_threadsafe(self.on_name, client, socket.getfqdn(host))

    def on_name(self, client, name):
        print(client.name, "is at", name, flush=True)

    def close(self):
        self.helper.shutdown()
        for client in list(self.clients):
            client.leave("was sent home")


def serve(listener):
    listener.setblocking(False)
    loop = Loop()
    door = Door(loop, listener)
    try:
        loop.run_forever()
    finally:
        door.close()
        loop.close()


if __name__ == "__main__":
    main(__doc__, serve)
