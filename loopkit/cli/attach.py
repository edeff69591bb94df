"""Asking a running process: how `loopkit top`, `ps`, `fds` and `dump` get an answer, or say why not.

A process that was started with ``--agent`` listens (`diagnostics/agent.py`). From Python 3.14 on one that
was not prepared can be asked to listen, by `sys.remote_exec`: Python runs a few lines in its main thread as
soon as that comes to a safe point. A loop that sleeps in its poll comes to none before something wakes it.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import tempfile
import time
from typing import Any

from loopkit.cli.options import UsageError

#: Seconds to wait for an answer, and for a loop that sleeps to wake.
ANSWER, WAKE = 5.0, 15.0

#: The first Python that can be asked to run something.
REMOTE_EXEC = (3, 14)

#: What it is asked to run: listen, and say what came of it. Nothing is loaded into a program without loopkit.
SCRIPT = """
import sys
if "loopkit.loop" in sys.modules:
    try:
        from loopkit.diagnostics import agent
        said = "path " + agent.start()
    except Exception as error:
        said = "error " + repr(error)[:200]
else:
    said = "none"
with open({answer!r} + ".part", "w") as file:
    file.write(said)
import os
os.replace({answer!r} + ".part", {answer!r})
"""


#: Options without a value.
FLAGS = ("--json", "--once", "--all")


class Words:
    """The command line that the four verbs share."""

    def __init__(self, verb: str, argv: list[str], usage: str, switches: tuple[str, ...] = ()) -> None:
        self.values: dict[str, str] = {}
        words = []
        rest = list(argv)
        while rest:
            word = rest.pop(0)
            name, equals, value = word.partition("=")
            if name in ("-h", "--help"):
                print(usage, end="")
                raise SystemExit(0)
            if name in ("--json", *switches):
                if name in FLAGS:
                    if equals:
                        raise UsageError(f"{name} takes no value, not {value!r}")
                elif not equals:
                    if not rest:
                        raise UsageError(f"{name} needs a value; see loopkit {verb} --help")
                    value = rest.pop(0)
                self.values[name] = value
            elif word.startswith("-"):
                raise UsageError(f"unknown option {word!r}; see loopkit {verb} --help")
            else:
                words.append(word)
        if len(words) != 1 or not words[0].isdecimal() or not words[0].isascii() or len(words[0]) > 9:
            raise UsageError(f"{verb} needs the number of a process: loopkit {verb} PID")
        self.pid = int(words[0])
        self.json = "--json" in self.values


def ask(pid: int, verb: str) -> dict[str, Any]:
    """The answer of process *pid*. Raises UsageError, in words, if there is none."""
    path = find(pid)
    answer = exchange(path, pid, verb)
    if "error" in answer:
        raise UsageError(f"process {pid}: {answer['error']}")
    if answer.get("version") != 1:
        raise UsageError(f"process {pid} runs another version of loopkit, {answer.get('loopkit')}")
    return answer


def find(pid: int) -> str:
    """The socket of process *pid*, which is asked to open one if it has none and can."""
    from loopkit.diagnostics.agent import address

    try:
        owner = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        raise UsageError(f"there is no process {pid}") from None
    path = address(pid, owner)
    if os.geteuid() not in (0, owner):
        raise UsageError(
            f"process {pid} belongs to another user (uid {owner}): only that one and root may look"
        )
    check_is_able(pid)
    return path if os.path.exists(path) else remote_start(pid)


def check_is_able(pid: int) -> None:
    """Whether process *pid* runs at all. Raises UsageError, in words, if nothing can come of asking it."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b") ")[2][:1]
    except OSError:
        raise UsageError(f"process {pid} has gone") from None
    if state == b"T":
        raise UsageError(f"process {pid} is stopped and cannot answer: kill -CONT {pid} lets it go on")
    if state == b"t":
        raise UsageError(f"process {pid} is held by a debugger and cannot answer")
    if state in b"ZX":
        raise UsageError(f"process {pid} has ended; its parent has not asked for its exit code yet")


def exchange(path: str, pid: int, verb: str) -> dict[str, Any]:
    """One question, one answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(ANSWER)
        try:
            sock.connect(path)
            _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if uid not in (os.geteuid(), os.stat(f"/proc/{pid}").st_uid):
                raise UsageError(f"{path} is not the socket of process {pid}")
            sock.sendall(json.dumps({"verb": verb}).encode() + b"\n")
            data = b"".join(iter(lambda: sock.recv(65536), b""))
        except TimeoutError:
            check_is_able(pid)  # it may have been stopped meanwhile
            raise UsageError(
                f"process {pid} does not answer: a C call may keep the interpreter's lock "
                f"(py-spy dump --pid {pid} sees it)"
            ) from None
        except (ConnectionRefusedError, FileNotFoundError):
            raise UsageError(f"process {pid} has gone, or its agent has") from None
        except OSError as error:
            raise UsageError(f"process {pid} cannot be asked: {error.strerror}") from None
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError(f"process {pid} answers in a way that is not understood") from None
    return answer if isinstance(answer, dict) else {}


def remote_start(pid: int) -> str:
    """Have a process that was not prepared listen."""
    way_out = "start it with loopkit --agent, or with LOOPKIT_AGENT=1"
    if sys.version_info < REMOTE_EXEC:
        raise UsageError(f"process {pid} has no agent: {way_out}")
    with tempfile.TemporaryDirectory(prefix="loopkit-") as folder:  # 0700
        script, answer = os.path.join(folder, "ask.py"), os.path.join(folder, "answer")
        with open(script, "w", encoding="utf-8") as file:
            file.write(SCRIPT.format(answer=answer))
        if os.geteuid() == 0:
            owner = os.stat(f"/proc/{pid}")
            for path in (folder, script):
                os.chown(path, owner.st_uid, owner.st_gid)
        try:
            sys.remote_exec(pid, script)  # type: ignore[attr-defined]
        except PermissionError:
            raise UsageError(f"this system does not let you look into process {pid}: {way_out}") from None
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(f"process {pid} is no Python that can be asked ({error}): {way_out}") from None
        said = _wait(pid, answer)
    kind, _, text = said.partition(" ")
    if kind == "path":
        return text
    if kind == "none":
        raise UsageError(f"process {pid} does not run loopkit")
    raise UsageError(f"process {pid} cannot listen: {text}")


def _wait(pid: int, answer: str) -> str:
    """What the process has to say, once its main thread has come to a safe point."""
    begin, told = time.monotonic(), False
    while time.monotonic() - begin < WAKE:
        try:
            with open(answer, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            pass
        if not os.path.exists(f"/proc/{pid}"):
            raise UsageError(f"process {pid} has gone")
        if not told and time.monotonic() - begin > 1:
            told = True
            print(f"loopkit: process {pid} sleeps; waiting for something to wake its loop", file=sys.stderr)
        time.sleep(0.02)
    check_is_able(pid)
    raise UsageError(f"process {pid} did not wake within {WAKE:.0f} s: send it something, and ask again")
