"""Counting the system calls of a running process, where strace is installed and allowed to."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from loopkit.bench.processes import Failure

SECONDS = 10


class Strace:
    """Counts the calls of a process and all its threads, from entering the `with` block until `stop`.

    Raises:
        Failure: there is no strace, or it may not attach.
    """

    def __init__(self, pid: int) -> None:
        self._summary = tempfile.NamedTemporaryFile(prefix="loopkit-strace-")
        command = ["strace", "-f", "-c", "-o", self._summary.name, "-p", str(pid)]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
            )
        except FileNotFoundError:
            self._summary.close()
            raise Failure("strace is not installed") from None

    def __enter__(self) -> Self:
        assert self._process.stderr is not None
        # strace says "Process N attached" for each thread; before the first it sees nothing.
        said = os.read(self._process.stderr.fileno(), 4096).decode(errors="replace")
        if "attached" not in said:
            self.__exit__()
            raise Failure(said.strip() or "strace ended at once")
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._summary.close()

    def stop(self) -> dict[str, int]:
        """Stop counting. Returns the number of calls by name."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure(f"strace did not stop within {SECONDS} s") from None
        return parse_summary(Path(self._summary.name).read_text())


def parse_summary(text: str) -> dict[str, int]:
    """Calls by name, from what `strace -c` writes: % time, seconds, us/call, calls, [errors], name."""
    calls = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 5 and fields[3].isdecimal() and fields[-1] != "total":
            calls[fields[-1]] = int(fields[3])
    return calls
