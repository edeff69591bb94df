"""Starting the tutorial's programs, and talking to them."""

import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "examples" / "tutorial"
HOMEWORK = ROOT / "examples" / "homework"

# Nothing here takes seconds. Whatever does is stuck, and fails the test instead of hanging it.
PATIENCE = 15.0


def environment(**settings: str) -> dict[str, str]:
    """What a program is started with: this tree's loopkit, warnings shown, and the test's own settings.

    Not Python's development mode: asyncio then tells of each callback that a busy machine has held up.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", **settings}


class Server:
    """A server in another process; `with Server(path) as server`. It ends by Ctrl-C, and that must work."""

    def __init__(self, path: Path, *, port: int = 0, descriptors: int | None = None, **settings: str) -> None:
        limit = None
        if descriptors is not None:

            def limit() -> None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.process = subprocess.Popen(
            [sys.executable, str(path), "server", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=limit,
            env=environment(**settings),
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        if not first.startswith("listening on port "):
            self.process.kill()
            raise AssertionError(f"{path.name} said {first!r}, then {self.process.communicate()}")
        self.port = int(first.split()[-1])
        self.pid = self.process.pid
        self.output = self.errors = ""

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ctrl-C; afterwards `output` and `errors` hold what it printed."""
        if self.output:
            return
        # More than once, as a person would. A signal that comes between the last look at the signals and the
        # sleep in the kernel is noticed only at the next event, unless it rings a bell (chapter 7 on).
        for _ in range(3):
            self.process.send_signal(signal.SIGINT)
            try:
                self.output, self.errors = self.process.communicate(timeout=PATIENCE / 3)
                return
            except subprocess.TimeoutExpired:
                pass
        self.process.kill()
        self.output, self.errors = self.process.communicate()
        raise AssertionError(f"Ctrl-C did not stop it; it said {self.output}\n{self.errors}")

    def said(self, words: str) -> str:
        """Read its output up to the first line that contains these words, and return that line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if words in line:
                return line
        raise AssertionError(f"it ended without a word of {words!r}: {self.process.communicate()}")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def state(self) -> str:
        """One letter from the kernel: R while it runs or wants to, S while it sleeps."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def becomes(self, true: Callable[[], bool]) -> bool:
        """Whether this becomes true, asked again until it does or patience ends."""
        end = time.monotonic() + PATIENCE
        while not true() and time.monotonic() < end:
            time.sleep(0.005)
        return true()

    def falls_asleep(self) -> bool:
        return self.becomes(lambda: self.state() == "S")


def connect(port: int, *, small: bool = False) -> socket.socket:
    """A connection to this port; `small` makes the kernel's buffers tiny, so that sends are partial."""
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sock.connect(("127.0.0.1", port))
    return sock


@contextmanager
def crowd(port: int, size: int) -> Iterator[list[socket.socket]]:
    """So many connections at once."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(port)) for _ in range(size)]


def receive(sock: socket.socket, size: int) -> bytes:
    """Exactly so many bytes, or what came before the end of the stream."""
    data = b""
    while len(data) < size and (chunk := sock.recv(size - len(data))):
        data += chunk
    return data


def ask(sock: socket.socket, words: str) -> str:
    """Send, and wait for an answer of the same length in bytes."""
    sock.sendall(words.encode())
    return receive(sock, len(words.upper().encode())).decode()


def vanish(sock: socket.socket) -> None:
    """Close with a reset instead of a goodbye, as a crashed machine or a killed program may."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
