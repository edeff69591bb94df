"""Chapter 8: coroutines, first as generators. The code looks blocking again.

The server sends back what a client writes, in upper case, and sends home who is silent.

    IDLE=60 python 08_generators.py server 9898
    python 08_generators.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import os
from select import EPOLLIN, EPOLLOUT

from common import Decoder, main
from tinyloop import Loop

IDLE = float(os.environ.get("IDLE", "60"))  # seconds of silence, then a client is sent home


class Task:
    """Drives one coroutine: runs it to its next yield, and comes back when that is fulfilled."""

    running = set()

    def __init__(self, loop, coroutine):
        self.loop = loop
        self.coroutine = coroutine
        self.timer = None
        self.sock = None  # what it waits for, if it waits for a socket
        self.running.add(self)
        loop.call_soon(self.step)

    def step(self, error=None):
        try:
            if error is None:
                self.sock, event, seconds = self.coroutine.send(None)
            else:
                self.sock, event, seconds = self.coroutine.throw(error)
        except StopIteration:  # it has returned
            self.running.remove(self)
            return
        except BaseException:  # it has failed: whoever called us reports it
            self.running.remove(self)
            raise
        if self.sock is not None:
            self.loop.watch(self.sock.fileno(), event, self.on_event)
        if seconds is not None:
            self.timer = self.loop.call_later(seconds, self.on_time)

    def on_event(self):
        self.loop.unwatch(self.sock.fileno())
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.step()

    def on_time(self):
        self.timer = None
        if self.sock is None:  # it only wanted to sleep
            self.step()
        else:  # the event has not come: the error appears where the coroutine waits
            self.loop.unwatch(self.sock.fileno())
            self.step(TimeoutError("was silent for too long"))


def wait(sock, event, seconds=None):
    """The only place where anybody waits: hands the wish to Task.step(), and freezes here."""
    yield sock, event, seconds


def sleep(seconds):
    yield from wait(None, 0, seconds)


def recv(sock, seconds=None):
    while True:
        # Also when something is there already: this is the moment when others have their turn.
        yield from wait(sock, EPOLLIN, seconds)
        try:
            return sock.recv(65536)
        except BlockingIOError:  # woken for nothing
            pass


def sendall(sock, data, seconds=None):
    while data:
        try:
            data = data[sock.send(data) :]
        except BlockingIOError:
            yield from wait(sock, EPOLLOUT, seconds)


def accept(listener):
    while True:
        yield from wait(listener, EPOLLIN)
        try:
            return listener.accept()
        except BlockingIOError:  # the caller has gone again
            pass
        except OSError as error:  # no descriptor left
            print("nobody is let in for a second:", error, flush=True)
            yield from sleep(1)


def talk(sock, name):
    """Answer one client until it leaves. Nobody else waits for that."""
    print(name, "came", flush=True)
    decoder = Decoder(errors="replace")
    try:
        while data := (yield from recv(sock, IDLE)):
            answer = decoder.decode(data).upper().encode()
            yield from sendall(sock, answer, IDLE)
    except OSError as error:  # reset, or TimeoutError, which is an OSError too
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)
    finally:
        sock.close()


def welcome(loop, listener):
    while True:
        sock, address = yield from accept(listener)
        sock.setblocking(False)
        Task(loop, talk(sock, "{}:{}".format(*address)))


def serve(listener):
    listener.setblocking(False)
    loop = Loop()
    Task(loop, welcome(loop, listener))
    try:
        loop.run_forever()
    finally:
        for task in Task.running:
            task.coroutine.close()  # raises GeneratorExit where it waits: its `finally` runs
        loop.close()


if __name__ == "__main__":
    main(__doc__, serve)
