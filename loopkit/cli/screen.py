"""A recording on the whole terminal: what `loopkit view` draws, and which key does what.

What is drawn never has more lines or columns than the terminal: one that is narrower than a line would break
it, and the rest would scroll away. A terminal that says it can do nothing (TERM=dumb) is not asked to: it
gets the text (`view.py`).
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import textwrap
import tty
import unicodedata
from typing import TYPE_CHECKING, Any

from loopkit.diagnostics.lint import findings
from loopkit.diagnostics.listing import step_line, turn_line
from loopkit.diagnostics.recording import Call, Note, Poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopkit.diagnostics.lint import Finding
    from loopkit.diagnostics.recording import Recording

#: What is said of the keys, the first while there is room.
KEYS = (
    "q quit",
    "arrows n p step",
    "N P turn",
    "w why",
    "r return",
    "s slowest",
    "f faults",
    "PgUp PgDn Home End",
    "l next loop",
)

#: What terminals send for a key, after ESC.
NAMES = {
    "up": ("[A", "OA"),
    "down": ("[B", "OB"),
    "right": ("[C", "OC"),
    "left": ("[D", "OD"),
    "home": ("[H", "OH", "[1~", "[7~"),
    "end": ("[F", "OF", "[4~", "[8~"),
    "page up": ("[5~",),
    "page down": ("[6~",),
    "N": ("[1;2C", "[1;2B"),
    "P": ("[1;2D", "[1;2A"),
}
SEQUENCES = {sequence: name for name, sequences in NAMES.items() for sequence in sequences}

#: Seconds within which the rest of a key comes that is several bytes.
REST = 0.05

#: Lines of source, with one above them for the file's name.
SOURCE = 8


def size() -> tuple[int, int]:
    """Columns and lines. `shutil` would believe the environment, which does not know of a change."""
    try:
        width, height = os.get_terminal_size(1)
    except OSError:
        width, height = 0, 0
    return width or 80, height or 24


def cut(text: str, width: int) -> str:
    """As much of *text* as has room in so many columns, and nothing that moves the cursor."""
    code = sys.stdout.encoding or "ascii"
    text = text.encode(code, "replace").decode(code)
    found, used = [], 0
    for letter in text.expandtabs(4):
        if not letter.isprintable():
            letter = "?"
        wide = (
            2 if unicodedata.east_asian_width(letter) in "WF" else 0 if unicodedata.combining(letter) else 1
        )
        used += wide
        if used > width:
            break
        found.append(letter)
    return "".join(found)


class Terminal:
    """The terminal while it is ours: keys come at once, and the screen is another one."""

    def __init__(self) -> None:
        self.settings = termios.tcgetattr(0)
        self.unread = ""
        self.wake = self.woken = -1  # the ends of a pipe: signals are read at one, written at the other
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Terminal:
        self.wake, self.woken = os.pipe()
        os.set_blocking(self.woken, False)
        signal.set_wakeup_fd(self.woken)
        for number in (signal.SIGWINCH, signal.SIGTSTP, signal.SIGTERM, signal.SIGCONT):
            self.before[number] = signal.signal(number, _nothing)
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.give_back()
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in self.before.items():
                signal.signal(number, handler)
            os.close(self.wake)
            os.close(self.woken)

    def take(self) -> None:
        tty.setcbreak(0)
        print("\x1b[?1049h\x1b[?25l", end="", flush=True)

    def give_back(self) -> None:
        print("\x1b[?25h\x1b[?1049l", end="", flush=True)
        termios.tcsetattr(0, termios.TCSADRAIN, self.settings)

    def draw(self, lines: list[str]) -> None:
        """Each line over what was there: a screen that is wiped first flickers."""
        print("\x1b[H" + "\x1b[K\n".join(lines) + "\x1b[K\x1b[J", end="", flush=True)

    def key(self) -> str:
        """The next key: a letter, or a name of `NAMES`; empty if it is none, or something else has happened.

        ``"q"`` at the end of the input.
        """
        if not self.unread:
            ready, _, _ = select.select([0, self.wake], [], [])
            if self.wake in ready:
                self._obey(os.read(self.wake, 1000))
                return ""
            if not self._read():
                return "q"
        if self.unread[0] != "\x1b":
            key, self.unread = self.unread[0], self.unread[1:]
            return key
        return self._sequence()

    def _sequence(self) -> str:
        """ESC alone, or with what a key sends after it: all of that, also of a key that is not known here."""
        end = 1
        while True:
            if end == len(self.unread) and not (select.select([0], [], [], REST)[0] and self._read()):
                break
            letter = self.unread[end]
            end += 1
            if (end == 2 and letter not in "[O") or (end > 2 and "@" <= letter <= "~"):
                break
        sequence, self.unread = self.unread[1:end], self.unread[end:]
        return SEQUENCES.get(sequence, "")

    def _read(self) -> bool:
        try:
            data = os.read(0, 1000)
        except OSError:  # EIO: the terminal has gone
            return False
        self.unread += data.decode(errors="replace")
        return bool(data)

    def _obey(self, signals: bytes) -> None:
        if signal.SIGTERM in signals:
            raise SystemExit(128 + signal.SIGTERM)
        if signal.SIGTSTP in signals:
            self.give_back()
            os.kill(os.getpid(), signal.SIGSTOP)
            self.take()


def _nothing(*_: object) -> None:
    """A signal that is waited for at the pipe."""


class Screen:
    """Where the reader is, and what the terminal shows of it."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.tracks = sorted(
            (track for track in recording.tracks if any(turn.steps for turn in track.turns)),
            key=lambda track: -len(track.turns),
        )
        self.page = 10
        self.open(0)

    def open(self, number: int) -> None:
        """Show that loop, from its beginning."""
        self.number = number
        self.track = self.tracks[number]
        self.steps: list[Poll | Call | Note] = list(self.track.steps())
        self.turn_of = [place for place, turn in enumerate(self.track.turns) for _ in turn.steps]
        self.calls = {step.number: place for place, step in enumerate(self.steps) if isinstance(step, Call)}
        self.found = findings(self.track)
        self.finding: Finding | None = None
        self.at = 0
        self.history: list[int] = []

    def press(self, key: str) -> bool:
        """Obey a key. False if it is the one that leaves."""
        if key in ("q", "Q", "\x04"):
            return False
        here, last = self.at, len(self.steps) - 1
        if key and key != "f":
            self.finding = None
        go = self._moves().get(key)
        if go is not None:
            self.at = min(max(go(), 0), last)
            if key in ("s", "w", "f") and self.at != here:
                self.history.append(here)
        elif key == "l" and len(self.tracks) > 1:
            self.open((self.number + 1) % len(self.tracks))
        return True

    def _moves(self) -> dict[str, Callable[[], int]]:
        steps: list[tuple[tuple[str, ...], Callable[[], int]]] = [
            (("n", " ", "\n", "j", "right", "down"), lambda: self.at + 1),
            (("p", "k", "\x7f", "left", "up"), lambda: self.at - 1),
            (("N",), lambda: self._turn(1)),
            (("P",), lambda: self._turn(-1)),
            (("page down",), lambda: self.at + self.page),
            (("page up",), lambda: self.at - self.page),
            (("home", "g"), lambda: 0),
            (("end", "G"), lambda: len(self.steps) - 1),
            (("s",), self._slowest),
            (("w",), self._cause),
            (("f",), self._wrong),
            (("r",), lambda: self.history.pop() if self.history else self.at),
        ]
        return {key: go for keys, go in steps for key in keys}

    def _turn(self, by: int) -> int:
        """The first step of the next turn, of this one if we are within it, or of the one before."""
        first = self.turn_of.index(self.turn_of[self.at])
        if by < 0:
            return first if self.at > first else self.turn_of.index(self.turn_of[max(first - 1, 0)])
        return next(
            (n for n in range(self.at, len(self.steps)) if self.turn_of[n] != self.turn_of[self.at]), self.at
        )

    def _slowest(self) -> int:
        calls = [
            (step.took, place) for place in self.calls.values() if isinstance(step := self.steps[place], Call)
        ]
        return max(calls, key=lambda item: item[0])[1] if calls else self.at

    def _cause(self) -> int:
        step = self.steps[self.at]
        if not isinstance(step, Call):
            return self.at
        if step.why == "event":
            return next((n for n in range(self.at, -1, -1) if isinstance(self.steps[n], Poll)), self.at)
        return self.calls.get(step.by, self.at)

    def _wrong(self) -> int:
        if not self.found:
            return self.at
        number = self.found.index(self.finding) + 1 if self.finding is not None else 0
        self.finding = self.found[number % len(self.found)]
        return self.calls.get(self.finding.number, self.at)

    # -- what is drawn ---------------------------------------------------------------------------------------

    def lines(self, width: int, height: int) -> list[str]:
        """The whole screen: the turn, steps, the current one at length, its source, the keys."""
        turn = self.turn_of[self.at]
        top = [turn_line(turn + 1 + self.track.dropped, self.track.turns[turn])]
        if len(self.tracks) > 1:
            top[0] = f"{self.track.name}: {top[0]}"
        if height < 3:
            return [self._line(self.at, width)][:height]
        rest = height - 2
        below: list[str] = []
        if rest >= 8:
            below += self._detail(width, min(3, rest // 5))
        if rest - len(below) >= SOURCE + 6:
            below += ["", *self._source()]
        if self.finding is not None and rest - len(below) >= 3:
            below += textwrap.wrap(str(self.finding), max(width - 1, 1))[: 2 if rest >= 8 else 1]
        self.page = max(rest - len(below), 1)
        first = max(min(self.at - self.page // 2, len(self.steps) - self.page), 0)
        steps = [self._line(place, width) for place in range(first, min(first + self.page, len(self.steps)))]
        steps += [""] * (self.page - len(steps))
        return [cut(top[0], width), *steps, *(cut(line, width) for line in below), self._keys(width)]

    def _line(self, place: int, width: int) -> str:
        step = self.steps[place]
        mark = ">" if place == self.at else " "
        line = cut(f"{mark}{step.start:11.6f}  {step_line(step)}", width)
        is_plain = place != self.at or os.environ.get("NO_COLOR")
        return line if is_plain else f"\x1b[7m{line}\x1b[0m"

    def _detail(self, width: int, most: int) -> Iterator[str]:
        """The current step at length: its end says why it ran. Always so many lines: nothing shall jump."""
        lines = textwrap.wrap(step_line(self.steps[self.at]), max(width - 1, 1))
        yield ""
        yield from (lines + [""] * most)[:most]

    def _source(self) -> list[str]:
        step = self.steps[self.at]
        lines = []
        if isinstance(step, Call) and step.place is not None:
            known = self.recording.lines.get(step.place.file, {})
            lines.append(f"{step.place.file}:{step.place.line}")
            for n in range(step.place.line - 3, step.place.line + 4):
                if n in known:
                    mark = ">" if n == step.place.line else " "
                    lines.append(f"{mark}{n:5} {known[n]}")
        return (lines + [""] * SOURCE)[:SOURCE]

    def _keys(self, width: int) -> str:
        line = ""
        for words in KEYS:
            if words.startswith("l ") and len(self.tracks) < 2:
                continue
            if words.startswith("f ") and not self.found:
                continue
            longer = f"{line} | {words}" if line else words
            if len(longer) > width:
                break
            line = longer
        return line


def play(recording: Recording) -> int:
    """Step through it with the keyboard."""
    if not any(turn.steps for track in recording.tracks for turn in track.turns):
        print("nothing was recorded")
        return 0
    screen = Screen(recording)
    sys.stdout.flush()
    try:
        with Terminal() as terminal:
            while True:
                terminal.draw(screen.lines(*size()))
                if not screen.press(terminal.key()):
                    return 0
    except KeyboardInterrupt:
        return 130
