"""Commands run for real: the same under ``python`` and ``python -m loopkit``, and a terminal to type into."""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.pythons import PYPY

#: The checkout, with examples and tests; not where the package was installed from it.
SOURCE = Path(__file__).parents[2]
LOOPKIT = ("-m", "loopkit")

# Seconds. What takes longer hangs. PyPy starts slowly, and what runs for a few seconds is never compiled.
LIMIT = 60.0 if PYPY else 20.0


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def environment(**more: str) -> dict[str, str]:
    """The environment without what would make a run differ from another: the same for every test matrix."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "LOOPKIT")) and name not in ("COLUMNS", "LINES", "FORCE_COLOR")
    }
    return kept | {"PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1", "TERM": "dumb"} | more


def python(*words: str, cwd: Path = SOURCE, stdin: str | bytes = "", **more: str) -> Ended:
    """Run Python to its end; *more* is added to its environment."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        input=data,
        capture_output=True,
        timeout=LIMIT,
        env=environment(**more),
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def run_loopkit(*words: str, cwd: Path = SOURCE, stdin: str | bytes = "", **more: str) -> Ended:
    return python(*LOOPKIT, *words, cwd=cwd, stdin=stdin, **more)


def both(
    *words: str, cwd: Path, options: tuple[str, ...] = (), stdin: str | bytes = "", **more: str
) -> tuple[Ended, Ended]:
    """What the same words do after ``python`` and after ``python -m loopkit``, without what must differ."""
    plain = python(*options, *words, cwd=cwd, stdin=stdin, **more)
    ours = python(*options, *LOOPKIT, *words, cwd=cwd, stdin=stdin, **more)
    return _without_differences(plain), _without_differences(ours)


def _without_differences(ended: Ended) -> Ended:
    """Without addresses of objects, and without the frames by which ``python -m`` gets to its program."""
    # PyPy's is no frozen module, and its lines are shown.
    runpy = r'[ |]*File "(?:<frozen runpy>|\S+/runpy\.py)", line \d+, in \w+\n(?:(?![ |]*File )[ |]{4,}.*\n)*'
    return Ended(ended.code, re.sub(r"0x[0-9a-f]+", "0x", ended.out), re.sub(runpy, "", ended.err))


# Makes the terminal on its standard input the controlling one, so that Ctrl-C is a signal; then loopkit.
_ON_A_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


# Python's editor says when it begins to take keys (what is pasted is marked from now on), and when it ends.
_PASTES, _ENTERED = "\x1b[?2004h", "\x1b[?2004l"
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[@-~]|[=>])")
READY = "<ready>"


class Terminal:
    """``python -m loopkit`` on a pseudo-terminal. Tests type, and wait for what must appear.

    Args:
        editor: it edits by Python's own editor, which draws the line again after each key, with its prompt.
            What is read is then without the escape sequences, and ">>> " stands for "it takes keys again".
    """

    def __init__(self, *words: str, cwd: Path, editor: bool = False, **more: str) -> None:
        self.fd, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.settings = termios.tcgetattr(slave)
        files = {"PYTHON_HISTORY": str(cwd / "history"), "HOME": str(cwd), "INPUTRC": os.devnull}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_A_TERMINAL, *LOOPKIT, *words],
            cwd=cwd,
            env=environment(**(files | {"TERM": "xterm"} | more)),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.unread = ""
        self.editor = editor
        self.up = "\x1bOA" if editor else "\x1b[A"  # it has the terminal send what terminfo says
        self.half = ""  # of an escape sequence

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.fd)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, text: str) -> str:
        """Read until *text* has appeared since the last call, and return what came before it."""
        if self.editor and text == ">>> ":
            text = READY
        end = time.monotonic() + LIMIT
        while text not in self.unread:
            assert self._more(end - time.monotonic()), self._missing(text)
        before, _, self.unread = self.unread.partition(text)
        return before

    def type_until(self, key: str, text: str) -> None:
        """Type *key* as an impatient user does, again and again, until *text* appears."""
        end = time.monotonic() + LIMIT
        while text not in self.unread:
            assert time.monotonic() < end, self._missing(text)
            self.type(key)
            self._more(0.2)
        self.expect(text)

    def enter(self, statement: str, answer: str) -> str:
        """Type a statement, wait for its answer and for the next prompt; return what came between the two."""
        self.type(statement + "\n")
        self.expect(answer)
        return self.expect(">>> ")

    def enter_block(self, *lines: str) -> None:
        """Type a compound statement, each line when it is asked for, and the empty line that ends it."""
        if self.editor:  # it would indent them once more
            self.paste(*lines)
            self.expect(">>> ")
            return
        for line in lines:
            self.type(line + "\n")
            self.expect("... ")
        self.type("\n")
        self.expect(">>> ")

    def paste(self, *lines: str) -> None:
        """Paste a block, as terminals mark it, and type the empty line that ends it."""
        self.type("\x1b[200~" + "\n".join(lines) + "\x1b[201~")
        self.expect(lines[-1])  # keys that come at once are taken for a part of it
        self.type("\n\n")

    def ended(self) -> int:
        """Read to the end and return the exit status."""
        while self._more(LIMIT):
            pass
        return self.process.wait(LIMIT)

    def _more(self, timeout: float) -> bool:
        """Read what has come or comes within *timeout* seconds. False if nothing did, or nothing can now."""
        if not select.select([self.fd], [], [], max(0.0, timeout))[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: nobody has the other end
            return False
        text = data.decode(errors="replace")
        self.unread += self._readable(text) if self.editor else text
        return bool(data)

    def _readable(self, text: str) -> str:
        text = self.half + text
        self.half = match[0] if (match := re.search(r"\x1b(\[[0-9;?]*)?$", text)) else ""
        text = text.removesuffix(self.half)
        return _ESCAPES.sub("", text.replace(_PASTES, READY).replace(_ENTERED, "\r\n"))

    def _missing(self, text: str) -> str:
        return f"{text!r} did not appear; the rest of the screen: {self.unread!r}"
