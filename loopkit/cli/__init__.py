"""The command line: which word means which verb. What a verb does is in its own file, loaded only when
asked for.

A verb is a module ``loopkit.cli.NAME`` with ``main(argv: list[str]) -> int``, plus its line in :data:`VERBS`.
It raises :class:`~loopkit.cli.options.UsageError` for bad usage: one line on stderr and exit code 2.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING

from loopkit.cli.options import UsageError, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["VERBS", "main", "usage"]

#: Every verb and its line of help, in the order in which help lists them.
VERBS = {
    "run": "run a script, a module or code, even if a verb has its name",
    "repl": "a prompt with top-level await (also: no arguments at all)",
    "doctor": "what this machine offers, and real checks of every poller",
    "bench": "measure loopkit beside the other loops installed here",
    "trace": "run a program and write down every turn, to be played",
    "view": "look at a trace or recording, in the terminal or as a page",
    "top": "how busy a running program's loops are, and with what",
    "ps": "the tasks of a running program, and what each waits for",
    "fds": "the descriptors of a running program, and who holds them",
    "dump": "what a running program is doing now, also while it is stuck",
    "explore": "look for a schedule that fails a test, on a simulated kernel",
    "replay": "run a schedule that explore or pytest has found once more",
    "check": "examine homework: a server in a single thread, or a client",
}

#: Verbs whose output, exceptions and death are the user's program's, not ours.
_PROGRAMS = ("run", "repl", "trace")

#: Verbs that import something of the user's: programs, tests, other loops.
_IMPORTING = (*_PROGRAMS, "bench", "explore", "replay")

#: Nothing more can be written where the output goes.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

_USAGE = """\
usage: loopkit [OPTIONS]                      a prompt with top-level await
       loopkit [OPTIONS] FILE [ARGS...]       run a script, or a directory or
                                              zip with __main__.py
       loopkit [OPTIONS] -m MODULE [ARGS...]  run a module, as python -m
       loopkit [OPTIONS] -c CODE [ARGS...]    run code, as python -c
       loopkit [OPTIONS] - [ARGS...]          run standard input, as python -
       loopkit VERB [ARGS...]                 (loopkit VERB --help says more)

Runs any asyncio program, unmodified, with loopkit as its event loop.

verbs:
{verbs}

options, before FILE, -m or -c; everything after them belongs to the program:
  --poller NAME   {pollers} (also: LOOPKIT_POLLER)
  --debug         asyncio's debug mode (as PYTHONASYNCIODEBUG=1)
  --watch SECONDS say what the loop is stuck in, while it is
  --record[=FILE] keep the last turns, write a page when something goes wrong
  --agent         answer loopkit top, ps, fds and dump
  --dump-signal USR1
                  write stacks and tasks to stderr when that signal comes
  --metrics       print how busy and how late the loop was, when it is closed
  -q              no banner at the prompt
  -V, --version   print the version
  -h, --help      print this

Python's own options go before -m: python -X dev -m loopkit app.py
"""


def usage() -> str:
    """The text of ``--help``."""
    from loopkit.pollers import POLLERS

    verbs = "\n".join(f"  {name:<15} {line}" for name, line in VERBS.items())
    return _USAGE.format(verbs=verbs, pollers=", ".join(POLLERS))


def _forget_output() -> None:
    """What is still in the buffer must go somewhere when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextlib.contextmanager
def _folder_hidden() -> Iterator[None]:
    """Import nothing from the current folder, where a student's file may be called like a module of ours or
    Python's.

    ``python -m`` has put it first. After the ``loopkit`` command it is the folder of that, which has nothing.
    """
    if sys.flags.safe_path or not sys.path:
        yield
        return
    folder = sys.path.pop(0)
    try:
        yield
    finally:
        sys.path.insert(0, folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a program's own SystemExit and exceptions pass through.

    Args:
        argv: the words after the command's name; None takes them from ``sys.argv``.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    verb = ""
    try:
        try:
            _, rest = parse(words)
            if rest and rest[0] in VERBS:
                words = [*words[: len(words) - len(rest)], *rest[1:]]
                if rest[0] in ("run", "repl"):
                    parse(words)  # what --help prints is still ours
                verb = rest[0]
            else:
                verb = "run" if rest else "repl"
            if verb not in _PROGRAMS and isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="backslashreplace")  # what we show is the words of others
            with _folder_hidden():
                run: Callable[[list[str]], int] = importlib.import_module(f"loopkit.cli.{verb}").main
                if verb not in _IMPORTING:
                    return run(words)
            return run(words)
        finally:
            if verb not in _PROGRAMS and sys.stdout is not None:
                sys.stdout.flush()  # what the interpreter's own last flush raises cannot be caught
    except BrokenPipeError:
        if verb in _PROGRAMS:
            raise
        _forget_output()  # loopkit doctor | head -1
        return 1
    except OSError as error:
        if verb in _PROGRAMS or error.errno not in _FULL:
            raise
        _forget_output()
        print(f"loopkit: cannot write the output: {error.strerror}", file=sys.stderr)
        return 2
    except UsageError as error:
        print(f"loopkit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if verb not in _PROGRAMS:
            sys.excepthook = lambda *_: None  # dies of SIGINT as it should, but without a traceback of ours
        raise
