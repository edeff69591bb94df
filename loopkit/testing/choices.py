"""What asyncio leaves open, as numbers: one is drawn, written down, replayed, and made smaller.

Each place where a real run might have gone otherwise asks `Choices` for a number; 0 is what asyncio does
when nothing disturbs it. A run is told completely by the answers that are not 0, its *deviations*. They are
named by what was asked and how often that had been asked before, so that leaving one out moves no other kind.

| kind  | asked                              | answers                                              | level |
|-------|------------------------------------|------------------------------------------------------|-------|
| late  | after each callback                | it lasted until just after the k-th deadline to come | time  |
| net   | for each packet, name and job      | it arrives just after the k-th deadline to come      | time  |
| cut   | for each read and each write       | the kernel has less: one byte, half                  | time  |
| poll  | for each poll that finds several   | only some, and the last ones first                   | time  |
| fault | where the program allows faults    | the fault happens                                    | time  |
| user  | by `choice()`                      | the program's own                                    | time  |
| sleep | when an `asyncio.sleep` is over    | it lasts until just after the k-th deadline to come  | sleep |
| order | before each step of a task         | behind what is ready; idle; after a deadline | order |

Deadlines, not seconds: only their order matters to a program, and so the search does not depend on whether
its timeouts are milliseconds or minutes. But a callback that lasts an hour is no finding: there are limits
(`world.py`). No choice ever looks at a set, an address or a hash.
"""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

#: What each level varies; a level has all that is before it.
LEVELS: dict[str, tuple[str, ...]] = {
    "time": ("late", "net", "cut", "poll", "fault", "user"),
    "sleep": ("sleep",),
    "order": ("order",),
}

KINDS = tuple(kind for kinds in LEVELS.values() for kind in kinds)

CLAIMS = {
    "fifo": "it fails with nothing varied at all: an ordinary bug",
    "time": "it can happen on asyncio as it is: only lateness and arrival differ",
    "sleep": "it can happen on asyncio if these sleeps, or the I/O that they stand for, take longer",
    "order": "it needs an order of task steps that asyncio does not produce today; another loop may",
}

#: An index that is never reached.
NEVER = 1 << 62


def level_of(deviations: Any) -> str:
    """The lowest level that has all kinds of *deviations*."""
    kinds = {deviation.kind for deviation in deviations}
    if not kinds:
        return "fifo"
    return next(level for level in ("order", "sleep", "time") if kinds & set(LEVELS[level]))


def kinds_of(level: str) -> tuple[str, ...]:
    """All kinds that *level* varies. Raises ValueError if there is no such level."""
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
    names = list(LEVELS)
    return tuple(kind for name in names[: names.index(level) + 1] for kind in LEVELS[name])


class Deviation(NamedTuple):
    """The answer number *at* of a *kind* was *value*."""

    kind: str
    at: int
    value: int


class Stream:
    """The answers of one kind: all 0 but those at `next`."""

    __slots__ = ("index", "next")

    def __init__(self) -> None:
        self.index = 0  # how often it was asked
        self.next = NEVER  # when the answer will not be 0, next

    def value(self, limit: int, lane: int) -> int:
        """The answer at `next`, at most *limit*; moves `next` on."""
        self.next = NEVER
        return 0


class Taped(Stream):
    """Answers that were given before."""

    __slots__ = ("_answers",)

    def __init__(self, answers: dict[int, int]) -> None:
        super().__init__()
        self._answers = sorted(answers.items(), reverse=True)
        self.next = self._answers[-1][0] if self._answers else NEVER

    def value(self, limit: int, lane: int) -> int:
        _, value = self._answers.pop()
        self.next = self._answers[-1][0] if self._answers else NEVER
        return min(value, limit)


class Rare(Stream):
    """Drawn: not 0 with probability *rate*, and small numbers more often than large ones."""

    __slots__ = ("_log", "_random", "_spread")

    def __init__(self, source: random.Random, rate: float, spread: float = 0.35) -> None:
        super().__init__()
        self._random, self._spread = source, spread
        self._log = math.log1p(-rate)
        self._skip()

    def _skip(self) -> None:
        # One draw for each answer that is not 0, instead of one for each question.
        self.next = self.index + 1 + int(math.log(1.0 - self._random.random()) / self._log)

    def value(self, limit: int, lane: int) -> int:
        value = 1
        while value < limit and self._random.random() < self._spread:
            value += 1
        self._skip()
        return min(value, limit)


class Ranked(Stream):
    """Priorities (PCT, Burckhardt et al. 2010): some tasks run only when the others cannot.

    A task's rank is drawn when it is first seen, and drawn again at a few steps of the run.
    """

    __slots__ = ("_changes", "_low", "_random", "_share")

    def __init__(self, source: random.Random, steps: int, depth: int) -> None:
        super().__init__()
        self._random = source
        self._share = source.choice((0.2, 0.4, 0.6))
        self._low: dict[int, int] = {}
        self._changes = {source.randrange(1, max(steps, 2)) for _ in range(depth - 1)}
        self.next = 1

    def value(self, limit: int, lane: int) -> int:
        self.next = self.index + 1
        low = self._low.get(lane)
        if low is None or self.index in self._changes:
            share = self._share if low is None else 0.5
            low = self._random.choice((2, 2, 3)) if self._random.random() < share else 0
            self._low[lane] = low
        return min(low, limit)


class Choices:
    """The answers of one run, and what was answered."""

    def __init__(self, streams: dict[str, Stream], kinds: tuple[str, ...] = KINDS) -> None:
        self.kinds = kinds
        self.streams = {kind: streams.get(kind) or Stream() for kind in KINDS}
        self.late, self.order, self.sleep = (self.streams[kind] for kind in ("late", "order", "sleep"))
        #: What deviates, in the order in which it was asked; and what it meant, in words.
        self.made: list[Deviation] = []
        self.said: list[str] = []
        #: Who hears each of these words when it is said, if anybody.
        self.told: Callable[[str], None] | None = None
        #: (kind, index, limit) of every question, if somebody wants to know (`exhaustive`).
        self.asked: list[tuple[str, int, int]] | None = None

    @classmethod
    def replayed(cls, deviations: Any) -> Choices:
        """Those of a run that is known by its deviations."""
        answers: dict[str, dict[int, int]] = {}
        for kind, index, value in deviations:
            answers.setdefault(kind, {})[index] = value
        return cls({kind: Taped(found) for kind, found in answers.items()})

    def ask(self, kind: str, limit: int, lane: int = 0) -> int:
        """A number from 0 to *limit*. Whoever gets another one than 0 says what it means, by `said`."""
        stream = self.streams[kind]
        stream.index += 1
        return self.answer(kind, limit, lane) if stream.index == stream.next or self.asked is not None else 0

    def answer(self, kind: str, limit: int, lane: int = 0) -> int:
        """The same, for whom has counted already, and found the moment to have come."""
        stream = self.streams[kind]
        if self.asked is not None and limit > 0 and kind in self.kinds:
            self.asked.append((kind, stream.index, limit))
        if stream.index != stream.next:
            return 0
        value = stream.value(limit, lane)
        if value > 0:
            self.made.append(Deviation(kind, stream.index, value))
            self.said.append("")
        return max(value, 0)

    def say(self, text: str) -> None:
        """What the last answer that was not 0 meant."""
        self.said[-1] = text
        if self.told is not None:
            self.told(text)

    def some_of(self, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """What a poll that has found *events*, several of them, reports."""
        count = len(events)
        value = self.ask("poll", count)
        if not value:
            return events
        if value == 1:
            self.say(f"a poll reported its {count} events in the opposite order")
            return events[::-1]
        self.say(f"a poll reported {value - 1} of {count} events, the others later")
        return events[-(value - 1) :]


# -- drawing -------------------------------------------------------------------------------------------------

#: How often things deviate; which of them, the seed says. Some bugs need one long delay, others many short.
RATES = (0.5, 0.2, 0.08, 0.03)


def drawn(seed: int, level: str, strategy: str, steps: int = 100) -> Choices:
    """The choices of *seed*: *strategy* is one of `STRATEGIES`, *steps* about how many steps a run has.

    Raises ValueError for an unknown level or strategy.
    """
    kinds = kinds_of(level)
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, not {strategy!r}")
    source = random.Random(f"{seed}:schedule")
    net = random.Random(f"{seed}:network")
    if strategy == "mix":
        mixture = MIX if level == "order" else MIX_BELOW
        strategy = mixture[seed % len(mixture)]
    features = set(strategy.split("+"))
    everything = "all" in features
    streams: dict[str, Stream] = {}
    for kind in ("net", "cut", "poll"):
        streams[kind] = Rare(net, net.choice(RATES))
    streams["fault"] = Rare(net, 0.1)
    streams["user"] = Rare(random.Random(f"{seed}:user"), 0.5, 0.7)
    if everything or "stall" in features or level == "time":
        streams["late"] = Rare(source, source.choice(RATES))
    if everything or "sleep" in features:
        streams["sleep"] = Rare(source, source.choice(RATES))
    if "pct" in features:
        streams["order"] = Ranked(source, steps, 3)
    elif everything or "order" in features:
        streams["order"] = Rare(source, source.choice(RATES), 0.4)
    return Choices({kind: stream for kind, stream in streams.items() if kind in kinds})


#: By seed modulo five.
MIX = ("stall+sleep", "order", "pct", "all", "pct+stall")
MIX_BELOW = ("stall+sleep", "sleep", "stall")
STRATEGIES = ("mix", "stall", "sleep", "order", "pct", "all", "stall+sleep", "pct+stall")


# -- tokens --------------------------------------------------------------------------------------------------


class Token(NamedTuple):
    """One run, in a line: the minor version of Python, the level, the seed of `random`, the deviations."""

    version: int
    level: str
    seed: int
    deviations: tuple[Deviation, ...]

    def __str__(self) -> str:
        parts = [f"{kind}{index}.{value}" for kind, index, value in self.deviations]
        return "-".join(["lk1", f"3{self.version}", self.level, f"s{self.seed}", *parts])


def token_of(text: str) -> Token:
    """The token that *text* is, or that is in the file *text* names, as `Report.save` writes it.

    Raises ValueError, with what is wrong, if there is none; OSError if the file cannot be read.
    """
    return parse_token(saved(text)["token"] if text.endswith(".json") else text)


def saved(path: str) -> dict[str, Any]:
    """What `Report.save` has written. Raises ValueError if *path* holds something else."""
    with open(path, encoding="utf-8") as file:
        try:
            found = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("token"), str):
        raise ValueError(f"{path} is no failure that loopkit.testing has saved: it has no token")
    return found


def parse_token(text: str) -> Token:
    """The token that *text* is. Raises ValueError, with what is wrong, if it is none."""
    magic, *rest = text.strip().split("-")
    if magic != "lk1" or len(rest) < 3:
        raise ValueError(f"{text!r} is no token of loopkit.testing: one is lk1-313-time-s0-late4.1, say")
    version, level, seed, *parts = rest
    try:
        deviations = []
        for part in parts:
            kind = part.rstrip("0123456789.")
            index, _, value = part[len(kind) :].partition(".")
            if kind not in KINDS:
                raise ValueError(f"nothing is called {kind!r}")
            deviations.append(Deviation(kind, int(index), int(value)))
        if level not in {*LEVELS, "fifo"}:
            raise ValueError(f"no level is called {level!r}")
        return Token(int(version[1:]), level, int(seed.removeprefix("s")), tuple(deviations))
    except ValueError as error:
        raise ValueError(f"token {text!r} cannot be read: {error}") from None
