"""The homework, first solution: generators on a scheduler of one's own, and nothing else.

A server that sends back what a client writes, in upper case, to many at once in one thread;
and a client that listens to the keyboard and to the server at the same time.

    IDLE=60 python 1_generators.py server 9898
    python 1_generators.py client 127.0.0.1 9898        (or: nc, or telnet, 127.0.0.1 9898)
"""

import codecs
import heapq
import itertools
import os
import socket
import sys
import time
import traceback
from collections import deque
from select import POLLIN, POLLOUT, poll

IDLE = float(os.environ.get("IDLE", "60"))  # seconds of silence, then a client is sent home


# The scheduler. A task waits by yielding (descriptor, event, seconds): continue it when the
# event is there, or when the time is up, whichever comes first. Without a descriptor that is
# sleeping; with both it is a time limit.


class Task:
    def __init__(self, coroutine):
        self.coroutine = coroutine
        self.done = False
        self.wish = None  # (descriptor, event) that it waits for
        self.turn = 0  # how often it was continued: tells an outdated alarm from a valid one


class Scheduler:
    def __init__(self):
        self.ready = deque()  # (task, error): whom to continue, and what to raise there
        self.waiting = {}  # (descriptor, event): task; one may read while another writes
        self.alarms = []  # a heap of (moment, number, task, turn)
        self.numbers = itertools.count()
        self.poller = poll()
        self.tasks = set()

    def spawn(self, coroutine):
        task = Task(coroutine)
        self.tasks.add(task)
        self.ready.append((task, None))
        return task

    def run(self, main):
        """Run until this coroutine has ended; then end the others, too."""
        self.main = main = self.spawn(main)
        try:
            while not main.done:
                for _ in range(len(self.ready)):  # round robin: each of them one step
                    self.step(*self.ready.popleft())
                if not main.done:
                    self.wait()
        finally:
            for task in list(self.tasks):
                task.coroutine.close()  # GeneratorExit where it waits: every `finally` runs

    def step(self, task, error):
        task.turn += 1
        try:
            if error is None:
                fd, event, seconds = task.coroutine.send(None)
            else:
                fd, event, seconds = task.coroutine.throw(error)
        except StopIteration:
            return self.end(task)
        except Exception:
            if task is self.main:  # whoever called run() waits for it
                raise
            traceback.print_exc()  # said aloud; one task's fault is not the others' end
            return self.end(task)
        if fd is not None:
            task.wish = fd, event
            self.waiting[task.wish] = task
            self.watch(fd)
        if seconds is not None:
            moment = time.monotonic() + seconds
            heapq.heappush(self.alarms, (moment, next(self.numbers), task, task.turn))

    def end(self, task):
        task.done = True
        self.tasks.remove(task)

    def watch(self, fd):
        """Tell the poller for what this descriptor is waited now: to read, to write, both, nothing."""
        events = sum(event for event in (POLLIN, POLLOUT) if (fd, event) in self.waiting)
        if events:
            self.poller.register(fd, events)  # takes the place of what was said before
        else:
            self.poller.unregister(fd)

    def wait(self):
        """Sleep until somebody can go on; put all of those into the ready queue."""
        timeout = None
        if self.ready:
            timeout = 0
        elif self.alarms:
            # poll() counts in milliseconds, and rounds down: one more, or it wakes too early.
            timeout = max(0, (self.alarms[0][0] - time.monotonic()) * 1000 + 1)
        for fd, event in self.poller.poll(timeout):
            # HUP and ERR concern both: whoever goes on finds out by the next call.
            for wanted, other in (POLLIN, POLLOUT), (POLLOUT, POLLIN):
                if event & ~other and (fd, wanted) in self.waiting:
                    self.resume(self.waiting[fd, wanted], None)
        while self.alarms and self.alarms[0][0] <= time.monotonic():
            _, _, task, turn = heapq.heappop(self.alarms)
            if turn == task.turn and not task.done:  # else it was continued in the meantime
                asleep = task.wish is None
                self.resume(task, None if asleep else TimeoutError("was silent for too long"))

    def resume(self, task, error):
        if task.wish is not None:
            del self.waiting[task.wish]
            self.watch(task.wish[0])
            task.wish = None
        task.turn += 1  # an alarm that rings in this same moment comes too late
        self.ready.append((task, error))


def sleep(seconds):
    yield None, 0, seconds


class Socket:
    """A socket with the names of socket.socket. Write `yield from` in front, and nobody blocks."""

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock = sock

    def accept(self):
        while True:
            yield self.sock.fileno(), POLLIN, None
            try:
                sock, address = self.sock.accept()
                return Socket(sock), address
            except BlockingIOError:  # the caller has gone again
                pass

    def recv(self, size, seconds=None):
        while True:
            yield self.sock.fileno(), POLLIN, seconds
            try:
                return self.sock.recv(size)
            except BlockingIOError:  # woken for nothing
                pass

    def sendall(self, data, seconds=None):
        rest = memoryview(data)  # slices of bytes would be copies
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
            except BlockingIOError:
                yield self.sock.fileno(), POLLOUT, seconds

    def connect(self, address):
        try:
            self.sock.connect(address)
        except BlockingIOError:  # under way; once it is writable, it is decided
            yield self.sock.fileno(), POLLOUT, None
            self.sock.connect(address)  # asking again tells how

    def shutdown(self, how):
        self.sock.shutdown(how)

    def close(self):
        self.sock.close()


# The server: it reads like chapter 1.


def talk(sock, name):
    print(name, "came", flush=True)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        while data := (yield from sock.recv(65536, IDLE)):
            yield from sock.sendall(decoder.decode(data).upper().encode(), IDLE)
    except OSError as error:
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)
    finally:
        sock.close()


def server(scheduler, listener):
    door = Socket(listener)
    while True:
        try:
            sock, address = yield from door.accept()
        except OSError as error:  # no descriptor left: accept() would say so without end
            print("nobody is let in for a second:", error, flush=True)
            yield from sleep(1)
            continue
        scheduler.spawn(talk(sock, "{}:{}".format(*address)))


# The client: two tasks, so that it hears the server while it waits for the keyboard.


def keyboard(sock):
    try:
        while True:
            # The terminal stays blocking, as the shell behind it wants it. To read when something
            # is there, and only as much as there is, does not block either.
            yield sys.stdin.fileno(), POLLIN, None
            typed = os.read(sys.stdin.fileno(), 65536)
            if not typed:
                return sock.shutdown(socket.SHUT_WR)  # all is said; the last answers may still come
            yield from sock.sendall(typed)
    except OSError:  # the server has gone: whoever listens hears that, too, and ends the client
        pass


def client(scheduler, address):
    with socket.socket() as raw:
        sock = Socket(raw)
        yield from sock.connect(address)
        scheduler.spawn(keyboard(sock))
        while answer := (yield from sock.recv(65536)):
            sys.stdout.buffer.write(answer)  # bytes through and through: nothing to decode
            sys.stdout.buffer.flush()


def main():
    scheduler = Scheduler()
    match sys.argv[1:]:
        case ["server", port] if port.isdecimal():
            with socket.create_server(("127.0.0.1", int(port)), backlog=1024) as listener:
                print("listening on port", listener.getsockname()[1], flush=True)
                scheduler.run(server(scheduler, listener))
        case ["client", host, port] if port.isdecimal():
            scheduler.run(client(scheduler, (host, int(port))))
        case _:
            print(__doc__, file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
    except (OSError, OverflowError) as error:  # OverflowError: no port has such a number
        sys.exit(f"sorry: {error}")
