"""`loopkit view`: look at a recording, step by step in the terminal, or turn it into another form."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loopkit.cli.options import UsageError

if TYPE_CHECKING:
    from loopkit.diagnostics.recording import Call, Note, Poll, Recording, Track

USAGE = """\
usage: loopkit view FILE          step through a trace or flight recording, in
                                  the terminal
       loopkit view FILE -o OUT   turn it into a page (.html), a trace (.json)
                                  or text (.txt)
       loopkit view FILE --lint   only what looks wrong; exit code 1 if there
                                  is something

FILE is a .json or .html that loopkit wrote. Without a terminal the whole text
is printed.
"""

KEYS = "arrows or n p: step   N P: turn   s: slowest   w: why   q: quit"


def main(argv: list[str]) -> int:
    """Run the verb. Raises UsageError for a file that is none of ours."""
    from loopkit.diagnostics import files
    from loopkit.diagnostics.tracefile import BadRecording, load

    words, out, lint = [], "", False
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            print(USAGE, end="")
            return 0
        if word == "--lint":
            lint = True
        elif word == "-o" and rest:
            out = rest.pop(0)
        elif word.startswith("-") and word != "-":
            raise UsageError(f"unknown option {word!r}; see loopkit view --help")
        else:
            words.append(word)
    if len(words) != 1:
        raise UsageError("view needs one file: a trace or a recording that loopkit wrote")
    try:
        recording = load(Path(words[0]))
        if out:
            files.write(recording, files.check_name(out))
            return 0
    except BadRecording as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{error.filename or out}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    if lint:
        return show_findings(recording)
    if os.isatty(0) and os.isatty(1):  # who was started without (<&-) has no sys.stdin
        return play(recording)
    print(files.rendered(recording, ".txt"), end="")
    return 0


def show_findings(recording: Recording) -> int:
    """Print what looks wrong. 1 if anything does."""
    from loopkit.diagnostics.lint import findings

    found = [finding for track in recording.tracks for finding in findings(track)]
    for finding in found:
        print(finding)
    return 1 if found else 0


def play(recording: Recording) -> int:
    """Step through it with the keyboard."""
    import termios
    import tty

    track = max(recording.tracks, key=lambda track: len(track.turns), default=None)
    steps = [] if track is None else list(track.steps())
    if track is None or not steps:
        print("nothing was recorded")
        return 0
    screen = Screen(recording, track, steps)
    settings = termios.tcgetattr(0)
    try:
        tty.setcbreak(0)
        print("\x1b[?1049h\x1b[?25l", end="")
        while True:
            print(f"\x1b[H\x1b[2J{screen.text()}", end="", flush=True)
            if not screen.press(_key()):
                return 0
    except KeyboardInterrupt:
        return 130
    finally:
        print("\x1b[?25h\x1b[?1049l", end="", flush=True)
        termios.tcsetattr(0, termios.TCSADRAIN, settings)


def _key() -> str:
    """One key; an arrow is its last letter after an escape."""
    key = sys.stdin.read(1)
    if key == "\x1b":
        key += sys.stdin.read(2)
    return key or "q"


class Screen:
    """Where the reader is, and what the terminal shows of it."""

    def __init__(self, recording: Recording, track: Track, steps: list[Poll | Call | Note]) -> None:
        self.recording, self.track, self.steps = recording, track, steps
        self.at = 0
        self.turn_of = [number for number, turn in enumerate(track.turns) for _ in turn.steps]
        self.numbers = {call.number: place for place, call in self._calls()}

    def _calls(self) -> list[tuple[int, Call]]:
        from loopkit.diagnostics.recording import Call

        return [(place, step) for place, step in enumerate(self.steps) if isinstance(step, Call)]

    def press(self, key: str) -> bool:
        """Obey a key. False if it is the one that leaves."""
        if key in ("q", "\x04"):
            return False
        if key in ("n", " ", "\n", "\x1b[C", "\x1b[B"):
            self.at += 1
        elif key in ("p", "\x1b[D", "\x1b[A"):
            self.at -= 1
        elif key in ("N", "P"):
            self._turn(1 if key == "N" else -1)
        elif key == "s" and self.numbers:
            self.at = max(self._calls(), key=lambda item: item[1].took)[0]
        elif key == "w":
            self.at = self._cause()
        self.at = min(max(self.at, 0), len(self.steps) - 1)
        return True

    def _turn(self, by: int) -> None:
        here = self.turn_of[self.at]
        while 0 <= self.at + by < len(self.steps) and self.turn_of[self.at] == here:
            self.at += by

    def _cause(self) -> int:
        from loopkit.diagnostics.recording import Call, Poll

        step = self.steps[self.at]
        if not isinstance(step, Call):
            return self.at
        if step.why == "event":
            return next((n for n in range(self.at, -1, -1) if isinstance(self.steps[n], Poll)), self.at)
        return self.numbers.get(step.by, self.at)

    def text(self) -> str:
        """The whole screen: steps around the current one, and its source."""
        import shutil

        from loopkit.diagnostics.listing import step_line, turn_line
        from loopkit.diagnostics.recording import Call

        width, height = shutil.get_terminal_size()
        number = self.turn_of[self.at]
        lines = [turn_line(number + 1 + self.track.dropped, self.track.turns[number]), ""]
        around = max(height - 16, 3)
        first = max(self.at - around // 2, 0)
        for place in range(first, min(first + around, len(self.steps))):
            step = self.steps[place]
            line = f"{step.start:12.6f}  {step_line(step)}"[: width - 2]
            lines.append(f"\x1b[7m{line}\x1b[0m" if place == self.at else line)
        lines.append("")
        step = self.steps[self.at]
        if isinstance(step, Call) and step.place is not None:
            known = self.recording.lines.get(step.place.file, {})
            lines.append(f"{step.place.file}:{step.place.line}"[:width])
            for n in range(step.place.line - 3, step.place.line + 4):
                if n in known:
                    mark = ">" if n == step.place.line else " "
                    lines.append(f"{mark}{n:5} {known[n]}"[:width])
        return "\n".join([*lines, "", KEYS[:width]])
