"""Records the servers of chapters 6, 7 and 8 at work, for the player on their pages.

    python record_runs.py docs/_static/runs          (needs loopkit; writes three pages)

The loops of these chapters are the readers' own, not loopkit's: what they do is written down by taking the
place of their methods from outside. The clients are the same each time: one who asks twice, and one who is
silent, and is sent home where the chapter can do that.
"""

import contextlib
import importlib
import os
import socket
import sys
import threading
import time
from pathlib import Path

os.environ["IDLE"] = "0.3"

from loopkit.diagnostics import files
from loopkit.diagnostics.recording import Call, Poll, Recording, Track, Turn, about
from loopkit.diagnostics.stacks import Place

#: Chapter, module, title.
RUNS = [
    ("06-callbacks", "06_callbacks", "Chapter 6: callbacks"),
    ("07-timers", "07_timers", "Chapter 7: timers"),
    ("08-coroutines", "08_async_def", "Chapter 8: coroutines"),
]


class Enough(BaseException):
    """Ends a loop that turns for ever."""


class Witness:
    """Takes the place of a loop's methods, and writes down what they do."""

    def __init__(self, loop):
        self.loop = loop
        self.track = Track("the chapter's loop")
        self.zero = time.monotonic()
        self.number = self.current = 0
        self.origins = []  # (callback, args, number of the callback that asked, place, when, due or None)
        self.names = {}
        self.fds = {}
        self.over = False
        for name in ("turn", "call", "call_soon", "call_later", "call_soon_threadsafe"):
            if hasattr(loop, name):
                setattr(loop, name, self.around(name, getattr(loop, name)))
        self.epoll, loop.epoll = loop.epoll, self

    def around(self, name, method):
        return lambda *args: getattr(self, name)(method, *args)

    def __getattr__(self, name):  # register, modify, unregister, close
        return getattr(self.epoll, name)

    def now(self):
        return time.monotonic() - self.zero

    # -- in the place of the loop's and the epoll object's methods -------------------------------------------

    def turn(self, turn):
        ready, timers = (len(getattr(self.loop, name, ())) for name in ("ready", "timers"))
        self.steps = []
        self.track.turns.append(Turn(self.now(), ready, timers, len(self.loop.watched), self.steps))
        turn()
        if self.over:
            raise Enough

    def poll(self, timeout=-1):
        start = self.now()
        events = self.epoll.poll(timeout)
        found = tuple((fd, mask, self.owner(fd)) for fd, mask in events)
        self.steps.append(Poll(start, self.now() - start, None if timeout < 0 else timeout, found))
        self.fds = {fd: mask for fd, mask in events if fd in self.loop.watched}
        return events

    def owner(self, fd):
        _, callback = self.loop.watched.get(fd, (0, None))
        owner = getattr(callback, "__self__", None)
        return getattr(owner, "name", None) or described(callback)[0]

    def call_soon(self, method, callback, *args):
        self.remember(callback, args, None)
        return method(callback, *args)

    call_soon_threadsafe = call_soon

    def call_later(self, method, seconds, callback, *args):
        self.remember(callback, args, self.now() + seconds)
        return method(seconds, callback, *args)

    def remember(self, callback, args, due):
        frame = sys._getframe(3)
        inside = threading.current_thread() is threading.main_thread()
        place = Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
        self.origins.append((callback, args, self.current if inside else 0, place, self.now(), due))

    def call(self, method, callback, *args):
        self.number += 1
        number = self.current = self.number
        why = self.reason(callback, args)
        name, place, task = described(callback)
        if task:
            task = self.names.setdefault(id(callback.__self__), f"{task} {len(self.names) + 1}")
        start = self.now()
        at = len(self.steps)
        self.steps.append(None)
        try:
            method(callback, *args)
        finally:
            late = max(start - why.pop("due"), 0.0) if "due" in why else 0.0
            self.steps[at] = Call(start, self.now() - start, number, name, place, task, late=late, **why)
            self.current = 0

    def reason(self, callback, args):
        for fd in list(self.fds):
            if fd in self.loop.watched and self.loop.watched[fd][1] == callback:
                return {"why": "event", "fd": fd, "mask": self.fds.pop(fd)}
        for origin in self.origins:
            if origin[:2] == (callback, args):
                self.origins.remove(origin)
                _, _, by, place, when, due = origin
                found = {"why": "soon", "by": by, "origin": place, "scheduled": when}
                return found if due is None else {**found, "why": "timer", "due": due}
        return {"why": "soon"}


def described(callback):
    """Name, place and task of a callback."""
    owner = getattr(callback, "__self__", None)
    coroutine = getattr(owner, "coroutine", None)
    if coroutine is not None:
        frame = inner = getattr(coroutine, "cr_frame", None)
        waits = coroutine
        while getattr(waits, "cr_await", None) is not None:
            waits = waits.cr_await
            inner = getattr(waits, "cr_frame", None) or inner
        place = None if frame is None else Place(inner.f_code.co_filename, frame.f_lineno, "")
        return coroutine.__qualname__, place, coroutine.__qualname__
    code = getattr(callback, "__code__", None)
    name = getattr(callback, "__qualname__", None) or str(callback)
    return name, None if code is None else Place(code.co_filename, code.co_firstlineno, name), ""


def clients(port, witness, sends_home):
    """Two clients, one after the other, then the end."""
    with (
        socket.create_connection(("127.0.0.1", port)) as one,
        socket.create_connection(("127.0.0.1", port)) as two,
    ):
        for line in (b"good morning\n", b"and good night\n"):
            one.sendall(line)
            one.recv(100)
            time.sleep(0.01)
        one.shutdown(socket.SHUT_WR)
        one.recv(100)
        if sends_home:
            two.recv(100)
    time.sleep(0.02)
    witness.over = True
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        pass  # wakes it, so that it notices


def record(module_name, title):
    """One run, as a recording."""
    module = importlib.import_module(module_name)
    listener = socket.create_server(("127.0.0.1", 0))
    made = []

    class Watched(module.Loop):
        def __init__(self):
            super().__init__()
            made.append(Witness(self))
            has_timers = hasattr(self, "call_later")
            port = listener.getsockname()[1]
            thread.append(threading.Thread(target=clients, args=(port, made[0], has_timers)))
            thread[0].start()

    thread = []
    original, module.Loop = module.Loop, Watched
    try:
        with contextlib.suppress(Enough), contextlib.redirect_stdout(None), listener:
            module.serve(listener)
    finally:
        module.Loop = original
        thread[0].join()
    recording = Recording([made[0].track], about(title=title, program=f"{module_name}.py", poller="epoll"))
    recording.add_source()
    return without_paths(recording)


def without_paths(recording):
    """Only the names of the files: the page is not about this machine."""

    def short(place):
        return place and place._replace(file=Path(place.file).name)

    for track in recording.tracks:
        for turn in track.turns:
            for at, step in enumerate(turn.steps):
                if isinstance(step, Call):
                    turn.steps[at] = step._replace(place=short(step.place), origin=short(step.origin))
    recording.lines = {Path(file).name: lines for file, lines in recording.lines.items()}
    return recording


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name, module_name, title in RUNS:
        files.write(record(module_name, title), folder / f"{name}.html")
        (folder / f"{name}.html").chmod(0o644)
        print(folder / f"{name}.html")
