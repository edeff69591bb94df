"""The agent: a socket at which `loopkit top`, `ps`, `fds` and `dump` ask a running process. It only tells.

One thread of the process listens on a Unix socket, `loopkit/PID.sock` in the user's runtime directory, else
in a directory of the user's own under /tmp. It answers from what it can see of the loops, also while they
are stuck; a loop is neither stopped nor woken (but for `top`, which has it observed while somebody looks).

Who may ask: the same user, and root. The directory is 0700, the socket 0600, and the kernel is asked who is
at the other end (SO_PEERCRED). What can be asked: the verbs below. A request is a line of JSON of 4 KiB at
most, an answer one of 1 MiB; each has a second, so that nobody keeps the others waiting. There is no verb
that changes anything.

A forked child leaves the parent's socket alone, and has none.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import stat
import struct
import sys
import tempfile
import threading
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..fork import at_fork
from .census import census
from .descriptors import fds, mask_words
from .instruments import sharing
from .metrics import Metrics, meter
from .profile import Profile
from .recorder import FlightRecorder
from .recording import program
from .stacks import awaiters, current_task, cut, place_of_frame, stack_of_thread, task_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop

#: Bytes, and seconds.
LONGEST_REQUEST = 4096
LONGEST_ANSWER = 1 << 20
LIMIT = 1.0

VERSION = 1


def directory(uid: int | None = None) -> str:
    """Where the sockets of a user lie; the caller's own unless *uid* says whose."""
    own = uid is None or uid == os.geteuid()
    runtime = os.environ.get("XDG_RUNTIME_DIR") if own else f"/run/user/{uid}"
    if runtime and os.path.isdir(runtime):
        return os.path.join(runtime, "loopkit")
    return os.path.join(tempfile.gettempdir(), f"loopkit-{os.geteuid() if uid is None else uid}")


def address(pid: int, uid: int | None = None) -> str:
    return os.path.join(directory(uid), f"{pid}.sock")


def safe_directory() -> str:
    """Make the directory, or see that the one that is there is ours alone. Raises OSError if it is not."""
    path = directory()
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    seen = os.lstat(path)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
        raise OSError(f"{path} is not a directory of this user's alone (it should be 0700)")
    return path


def parse(value: str) -> None:
    """What LOOPKIT_AGENT asks for: ``1``."""
    if value != "1":
        raise ValueError(f"LOOPKIT_AGENT is 1, not {value!r}")


def equip(loop: Loop, asked: None) -> None:
    """Listen. Where that cannot be, as in a container that may not write, the program goes on."""
    meter(loop)
    try:
        start()
    except OSError as error:
        logger.warning("loopkit's agent cannot listen: %s", error)


_agent: Agent | None = None


def start() -> str:
    """Listen, if this process does not yet; return the socket's path. Raises OSError if that cannot be."""
    global _agent
    with sharing:
        if _agent is None or _agent.process != os.getpid():
            _agent = Agent()
        return _agent.path


def stop() -> None:
    """Listen no more. Idempotent."""
    global _agent
    with sharing:
        listening, _agent = _agent, None
    if listening is not None:
        listening.close()


def _sweep(path: str) -> None:
    """Take away what processes have left that were killed; one of them may have had our number."""
    for name in os.listdir(path):
        pid = name.removesuffix(".sock")
        if pid == str(os.getpid()) or not os.path.exists(f"/proc/{pid}"):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(path, name))


class Agent:
    """The socket, and the thread that answers."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.path = os.path.join(safe_directory(), f"{self.process}.sock")
        _sweep(os.path.dirname(self.path))
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Nobody can pass the directory; what umask would add for a moment does not matter.
            self.listener.bind(self.path)
            os.chmod(self.path, 0o600)
            self.listener.listen(4)
        except BaseException:
            self.listener.close()
            raise
        self.thread = threading.Thread(target=self._serve, name="loopkit-agent", daemon=True)
        self.thread.start()
        atexit.register(self.close)
        at_fork(after_in_child=self._in_child)

    def close(self) -> None:
        """Stop listening, and take the socket away; in the process that made it only."""
        if self.process != os.getpid() or self.listener.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # accept() returns
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        if self.thread is not threading.current_thread():
            self.thread.join(LIMIT * 3)
        self.listener.close()
        atexit.unregister(self.close)

    def _in_child(self) -> None:
        if self.listener.fileno() >= 0:
            self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                client.settimeout(LIMIT)
                client.sendall(self._answer(client))

    def _answer(self, client: socket.socket) -> bytes:
        try:
            data = received(client)  # by whomever: what is not read would turn our answer into a reset
            if not is_allowed(client):
                return packed({"error": "this process answers its own user only"})
            return packed(reply(json.loads(data or b"null")))
        except ValueError as error:  # in our own words, mostly
            return packed({"error": cut(str(error))})
        except (TypeError, KeyError, AttributeError, RuntimeError, RecursionError) as error:
            return packed({"error": cut(f"{type(error).__name__}: {error}")})


def is_allowed(client: socket.socket) -> bool:
    """Whether this very user is at the other end, or root."""
    _, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid in (0, os.geteuid())


def received(client: socket.socket) -> bytes:
    """The line that is the request. Raises ValueError if it is too long, OSError if it does not come."""
    data = b""
    while b"\n" not in data:
        if len(data) > LONGEST_REQUEST:
            raise ValueError(f"a request has {LONGEST_REQUEST} bytes at most")
        more = client.recv(LONGEST_REQUEST)
        if not more:
            break
        data += more
    return data.partition(b"\n")[0]


def packed(answer: dict[str, Any]) -> bytes:
    """A line. Lists that are too long for it are cut, and say so."""
    answer = {"version": VERSION, "loopkit": __version__, "pid": os.getpid(), **answer}
    while len(data := json.dumps(answer, default=str).encode() + b"\n") > LONGEST_ANSWER:
        if not _shorten(answer):
            return packed({"error": f"the answer is longer than {LONGEST_ANSWER} bytes"})
    return data


def _shorten(answer: dict[str, Any]) -> bool:
    """Halve the longest list of rows. False if there is none left."""
    longest: list[Any] = []
    for loop in answer.get("loops", ()):
        for value in loop.values():
            if isinstance(value, list) and len(value) > len(longest):
                longest = value
    if len(longest) < 2:
        return False
    answer["cut"] = True
    del longest[len(longest) // 2 :]
    return True


# -- the verbs -----------------------------------------------------------------------------------------------


def reply(request: Any) -> dict[str, Any]:
    """The answer to one request. Raises ValueError if it is none."""
    if not isinstance(request, dict) or request.get("verb") not in VERBS:
        raise ValueError(f"a request is an object with a verb, which is one of {', '.join(VERBS)}")
    return VERBS[request["verb"]]()


def loops() -> list[Loop]:
    """The loops of this process that are not closed, those that run first."""
    from ..fork import loops as known

    for _ in range(100):
        try:
            found = [loop for loop in list(known) if not loop.is_closed()]
        except RuntimeError:
            continue  # one was made, or went, while we looked
        return sorted(found, key=lambda loop: not loop.is_running())
    return []


def of_loops(tell: Callable[[Loop], dict[str, Any]]) -> dict[str, Any]:
    """What *tell* has to say of each loop."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found = []
    for loop in loops():
        about = {"poller": loop.poller_name, "running": loop.is_running(), "idle": loop._idle}
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            found.append({"thread": names.get(loop._thread_id, ""), **about, **tell(loop)})
    about = {"python": sys.version.split()[0], "program": cut(program()), "folder": folder()}
    return {"loops": found, **about}


def folder() -> str:
    """Where the process is; empty if that is no more."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def tasks(loop: Loop) -> dict[str, Any]:
    """The rows, and how many they were before one of them was left out."""
    rows = census(loop)
    return {"tasks": rows, "count": len(rows)}


def descriptors(loop: Loop) -> dict[str, Any]:
    """The rows, and how many of them are the loop's."""
    rows = [_row(descriptor) for descriptor in fds(loop)]
    for row in rows:
        if _agent is not None and row["local"] == _agent.path:
            row.update(kind="loop", owner="the agent")
    rows.sort(key=lambda row: (row["kind"] == "unknown", row["fd"]))
    return {"fds": rows, "count": sum(row["kind"] != "unknown" for row in rows)}


def ps() -> dict[str, Any]:
    return of_loops(tasks)


def table() -> dict[str, Any]:
    return of_loops(descriptors)


def _row(descriptor: Any) -> dict[str, Any]:
    row = {name: getattr(descriptor, name) for name in descriptor.__slots__}
    return {**row, "wanted": mask_words(row["wanted"]), "armed": mask_words(row["armed"])}


def figures(seen: Metrics) -> dict[str, Any]:
    return {
        "taken": seen.taken,
        "busy": seen.busy,
        "idle_seconds": seen.idle,
        "polls": seen.polls,
        "events": seen.events,
        "ready": seen.ready,
        "timers": seen.timers,
        "watches": seen.watches,
        "lateness": {"p50": seen.lateness.quantile(0.5), "p99": seen.lateness.quantile(0.99)},
        "longest": {"lateness": seen.lateness.longest, "stretch": seen.stretches.longest},
    }


def metrics() -> dict[str, Any]:
    return of_loops(lambda loop: figures(meter(loop).read()))


def top() -> dict[str, Any]:
    """Metrics, time by coroutine function while somebody looks, and connections."""

    def tell(loop: Loop) -> dict[str, Any]:
        connections = [_row(descriptor) for descriptor in fds(loop) if descriptor.kind == "connection"]
        connections.sort(key=lambda row: -((row["received"] or 0) + (row["sent"] or 0)))
        return {
            **figures(meter(loop).read()),
            "profile": profile(loop).table(),
            "connections": connections[:50],
        }

    return of_loops(tell)


def profile(loop: Loop) -> Profile:
    """The profile of *loop*; a new one is hung on it by the loop itself, as soon as that comes round."""
    from .observing import observe

    known = None if loop._instruments is None else loop._instruments.audience
    for observer in () if known is None else known.observers:
        if isinstance(observer, Profile):
            return observer
    fresh = Profile()

    def begin() -> None:
        fresh.end = observe(loop, fresh)

    if loop.is_running():
        loop.call_soon_threadsafe(begin)
    return fresh


def at_work(loop: Loop) -> dict[str, Any]:
    """What *loop* is calling, in which task, and who awaits that."""
    if loop._thread_id is None or loop._idle:
        return {"stack": [], "task": None, "awaiters": []}
    task = current_task(loop)
    return {
        "stack": [[*place, place.text()] for place in stack_of_thread(loop._thread_id)],
        "task": None if task is None else task_words(task),
        "awaiters": [] if task is None else [task_words(waiter) for waiter in awaiters(task)],
    }


def dump() -> dict[str, Any]:
    """The stacks of all threads but the one that answers, and of the loops' what they are calling."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    threads = []
    for ident, frame in reversed(sys._current_frames().items()):  # the main thread's first
        stack = []
        at: Any = None if ident == threading.get_ident() else frame
        while at is not None:
            place = place_of_frame(at)
            stack.append([*place, place.text()])
            at = at.f_back
        if stack:
            threads.append({"name": names.get(ident, str(ident)), "stack": stack[::-1]})
    return {**of_loops(at_work), "threads": threads}


def recording() -> dict[str, Any]:
    """What the flight recorder has, or as many of its last turns as an answer can hold."""
    from .tracefile import encode

    for loop in loops():
        found = None if loop._instruments is None else loop._instruments.find(FlightRecorder)
        if found is not None:
            whole = found.snapshot()
            while len(json.dumps(data := encode(whole))) > LONGEST_ANSWER * 3 // 4:
                for track in whole.tracks:
                    kept = len(track.turns) // 2
                    track.dropped += len(track.turns) - kept
                    del track.turns[: len(track.turns) - kept]
                if not any(track.turns for track in whole.tracks):
                    break
            return {"recording": data}
    raise ValueError("no loop of this process has a flight recorder: start it with loopkit --record")


VERBS: dict[str, Callable[[], dict[str, Any]]] = {
    "metrics": metrics,
    "ps": ps,
    "fds": table,
    "dump": dump,
    "top": top,
    "record": recording,
}
