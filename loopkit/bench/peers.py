"""The servers that clients under test talk to: real ones where there are such, else a small one of ours.

They run on the processors of the load, are started when first needed and live until the bench ends.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loopkit.bench.processes import Child, Failure

if TYPE_CHECKING:
    from loopkit.bench.placement import Placement

__all__ = ["Peers", "missing"]

HOST = "127.0.0.1"
#: Seconds for a server to answer.
START_LIMIT = 20.0
#: Where Debian puts the programs of its newest PostgreSQL, which are not on PATH.
POSTGRES = "/usr/lib/postgresql"
#: Peers that are programs of their own: what to look for, and what brings it.
PROGRAMS = {"redis": ("redis-server", "redis-server"), "postgres": ("initdb", "postgresql")}


def missing(peer: str) -> str:
    """Why a peer cannot run on this machine, in one line; empty if it can."""
    if peer not in PROGRAMS:
        return ""
    program, package = PROGRAMS[peer]
    if find(program) is None:
        return f"{program} is not on this machine (Debian's package: {package})"
    if peer == "postgres" and os.geteuid() == 0 and not has_user("postgres"):
        return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


def find(program: str) -> str | None:
    """The file of a program."""
    homes = sorted(Path(POSTGRES).glob("*/bin"), reverse=True)
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(map(str, homes)))


def has_user(name: str) -> bool:
    """Whether the machine knows a user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


class Peers:
    """The peers that are running, by name."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._running: dict[str, tuple[Child, str]] = {}
        self._folders: list[tempfile.TemporaryDirectory[str]] = []

    def address(self, name: str) -> str:
        """Where a peer listens, as host:port; it is started if it does not run yet. Raises Failure."""
        if name not in self._running:
            start = {"redis": self._redis, "postgres": self._postgres}.get(name)
            self._running[name] = start() if start else self._ours(name)
        return self._running[name][1]

    def close(self) -> None:
        """End all."""
        for child, _ in self._running.values():
            child.close()
        for folder in self._folders:
            folder.cleanup()
        self._running.clear()
        self._folders.clear()

    def _ours(self, mode: str) -> tuple[Child, str]:
        child = Child("peer", ["-m", "loopkit.bench.load.responder", mode])
        self._place(child)
        line = child.read_line(START_LIMIT)
        return child, line.removeprefix("listening on ")

    def _redis(self) -> tuple[Child, str]:
        port = free_port()
        arguments = ["--port", str(port), "--bind", HOST, "--save", "", "--loglevel", "warning"]
        arguments += ["--dir", self._folder()]
        return self._program("redis-server", arguments, port)

    def _postgres(self) -> tuple[Child, str]:
        owner = "postgres" if os.geteuid() == 0 else None
        folder = self._folder()
        if owner is not None:
            shutil.chown(folder, owner)
        data = f"{folder}/data"
        make = [str(find("initdb")), "-D", data, "-U", "bench", "-A", "trust", "--no-sync"]
        done = subprocess.run(make, capture_output=True, text=True, user=owner, cwd=folder, check=False)
        if done.returncode:
            raise Failure(f"initdb made no database: {done.stderr.strip()[-200:]}")
        port = free_port()
        settings = {
            "port": port,
            "listen_addresses": HOST,
            "unix_socket_directories": folder,
            "fsync": "off",
            "autovacuum": "off",
        }
        arguments = [
            "-D",
            data,
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ]
        return self._program("postgres", arguments, port, owner)

    def _program(
        self, name: str, arguments: list[str], port: int, user: str | None = None
    ) -> tuple[Child, str]:
        """Start a program of somebody else's, and wait until it accepts."""
        found = find(name)
        if found is None:
            raise Failure(f"{name} is not on this machine")
        child = Child(name, arguments, program=found, user=user)
        self._place(child)
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                return child, f"{HOST}:{port}"
            except OSError:
                if child.has_ended(0.05):
                    words = child.describe_end()
                    child.close()
                    raise Failure(f"{name} did not start: {words}") from None
                if time.monotonic() > deadline:
                    child.close()
                    raise Failure(f"{name} did not listen within {START_LIMIT:g} s") from None

    def _place(self, child: Child) -> None:
        """Off the processor of the loop under test; what the child starts later inherits it."""
        if self._placement.load:
            os.sched_setaffinity(child.pid, map(int, self._placement.load.split(",")))

    def _folder(self) -> str:
        folder = tempfile.TemporaryDirectory(prefix="loopkit-bench-", ignore_cleanup_errors=True)
        self._folders.append(folder)
        return folder.name
