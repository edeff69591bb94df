"""`loopkit trace`: run a program and write down every turn of its loops."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from loopkit.cli.options import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from loopkit.diagnostics.tracing import Tracer

USAGE = """\
usage: loopkit trace [-o FILE] [--last N] [OPTIONS] FILE [ARGS...]
       loopkit trace [-o FILE] [--last N] [OPTIONS] -m MODULE [ARGS...]

Runs any asyncio program, unmodified, and writes what its loops did, turn by
turn: what the kernel was asked and what it answered, what was called and why.
What looks wrong is named on standard error.

  -o FILE    .html, a page to play it (the default: trace.html); .json, for
             Perfetto and loopkit view; .txt, to read
  --last N   keep the last N turns of each loop; default 10000; 0 keeps all

Ctrl-C ends the program as ever, and keeps what there is. OPTIONS are those of
loopkit itself.
"""

#: Options of loopkit's own that take a word.
_WITH_A_WORD = ("--poller", "--watch")

DEFAULT_TURNS = 10_000


def main(argv: list[str]) -> int:
    """Run the verb: the program's own exit code and exceptions, 1 if the trace cannot be written."""
    from loopkit.cli import run
    from loopkit.diagnostics.tracing import Tracer

    path, turns, words = parse(argv)
    process = os.getpid()
    tracer = Tracer(turns)
    tracer.start()
    ended = _Writer(tracer, path)
    try:
        code = run.main(words)
    except UsageError:
        ended.done = True  # there was no program
        raise
    finally:
        tracer.stop()
        written = os.getpid() != process or ended.write("end")
    return code if written else 1


def parse(argv: list[str]) -> tuple[Path, int, list[str]]:
    """The file, the number of turns, and the words that are left for `loopkit run`."""
    from loopkit.diagnostics.files import check_name

    name, turns = "trace.html", DEFAULT_TURNS
    rest, words = list(argv), []
    while rest and rest[0].startswith("-") and rest[0] != "-" and rest[0][:2] not in ("-m", "-c"):
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if option in ("-h", "--help"):
            print(USAGE, end="")
            raise SystemExit(0)
        if option in ("-o", "--last"):
            if not equals:
                if not rest:
                    raise UsageError(f"{option} needs {'a file' if option == '-o' else 'a number'}")
                value = rest.pop(0)
            if option == "-o":
                name = value
            elif not value.isdecimal():
                raise UsageError(f"--last needs a number of turns, not {value!r}")
            else:
                turns = int(value)
            continue
        words.append(word)
        if option in _WITH_A_WORD and not equals and rest:
            words.append(rest.pop(0))
    if not rest:
        raise UsageError("trace needs a file, -m MODULE, -c CODE, or - for standard input")
    try:
        return check_name(name), turns, words + rest
    except ValueError as error:
        raise UsageError(str(error)) from None


class _Writer:
    """Writes the trace once, at whichever end comes first."""

    def __init__(self, tracer: Tracer, path: Path) -> None:
        from loopkit.diagnostics.endings import before_the_end

        self.tracer, self.path = tracer, path
        self.done = False
        before_the_end(self._on_signal)

    def _on_signal(self, reason: str) -> None:
        if reason == "signal":
            self.write(reason)

    def write(self, reason: str) -> bool:
        """Write it, and say so in a line. False if it cannot be written."""
        if self.done:
            return True
        self.done = True
        from loopkit.diagnostics import files
        from loopkit.diagnostics.lint import findings
        from loopkit.diagnostics.listing import summary

        recording = self.tracer.recording()
        if not recording.tracks:
            files.say("loopkit: no loop has turned: there is nothing to write")
            return True
        name = files.shown(self.path)
        try:
            files.write(recording, self.path)
        except OSError as error:
            files.say(f"loopkit: cannot write {name}: {error.strerror}")
            return False
        for track in recording.tracks:
            for finding in findings(track):
                files.say(f"loopkit: {finding}")
        told = "; ".join(summary(track) for track in recording.tracks[-3:])
        files.say(f"loopkit: wrote {name} ({told})")
        return True
