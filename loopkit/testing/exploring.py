"""Looking for a schedule that fails: `explore`, `replay`, and making what was found small.

The first run deviates in nothing: what fails there is an ordinary bug. Then one run for each seed. The first
that fails is made smaller (fewer deviations, toward what asyncio does), as long as it fails in the same way:
the same exception out of the same line of the program. Then the lower levels are tried, for a failure of the
same kind that needs less: the level that is printed is the lowest at which it was seen.
"""

from __future__ import annotations

import gc
import sys
import time
import traceback
import warnings
from asyncio.log import logger
from collections import deque
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from . import outside
from .choices import LEVELS, Choices, Deviation, Token, drawn, kinds_of, level_of, token_of
from .errors import Found
from .report import Report, innermost
from .running import Program, perform
from .trace import Trace
from .waits import INSIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..diagnostics.recording import Recording

__all__ = ["explore", "replay"]

#: How much effort goes into making a failure small: runs, and seconds of this process.
SHRINK_RUNS, SHRINK_SECONDS = 300, 5.0

#: How many seeds are tried for the same failure at each lower level.
LOWER_SEEDS = 60

#: The options of `run` that say what the world is like.
WORLD = Program._fields[1:]

#: After how many runs what they left is collected. PyPy cannot be asked for the young ones: it goes through
#: everything, which takes as long as ten runs.
COLLECT_EVERY = 1 if sys.implementation.name == "cpython" else 50


class Outcome(NamedTuple):
    """How a run ended."""

    error: BaseException | None
    signature: tuple[str, str]
    choices: Choices
    steps: int
    trace: Trace | None


def attempt(program: Program, choices: Choices, seed: int = 0, trace: Trace | None = None) -> Outcome:
    """One run of *program*. KeyboardInterrupt and SystemExit come out of it."""
    world = program.world(choices, seed)
    world.trace = trace
    error: BaseException | None = None
    was_silent, logger.disabled = logger.disabled, trace is None
    try:
        perform(program, world, seed)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:
        error = exc
    finally:
        logger.disabled = was_silent
    return Outcome(error, signature_of(error), choices, world.steps, trace)


def signature_of(error: BaseException | None) -> tuple[str, str]:
    """What makes two failures the same: the exception's type, and the program's line that it came from."""
    if error is None:
        return "", ""
    error = innermost(error)
    assert error is not None
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(INSIDE):
            place = f"{frame.filename}:{frame.lineno}"
    if type(error).__module__ == "loopkit.testing.errors":
        place = ""  # raised by us, wherever the program happened to be
    return type(error).__qualname__, place


def explore(
    main: Callable[[], Any],
    *,
    seeds: int = 100,
    first: int = 0,
    level: str = "time",
    strategy: str = "mix",
    deviations: int = 2,
    shrink: bool = True,
    **options: Any,
) -> int:
    """Run *main*, a coroutine function without arguments, for each of *seeds* seeds; how many runs that were.

    *first* is the first seed. *level* tells what may differ from run to run: "time", "sleep" or "order"; each
    has what is before it. The *strategy* "mix" takes several by turns: "stall", "sleep", "order", "pct",
    "all", "stall+sleep", "pct+stall". "exhaustive" goes through every run of at most *deviations* deviations,
    as long as *seeds* runs suffice. With *shrink* what is found is made small, and looked for at lower
    levels. The *options* are those of `run` that say what the world is like: *start*, *faults*, *threads*,
    *patch_time*, *entropy*.

    Raises `Found` for the first failing run: its text tells what happened and how to repeat it, its cause is
    the failure itself. Raises ValueError for an unknown level or strategy.
    """
    kinds_of(level)
    program = Program(main, **options)
    with _quiet():
        plain = attempt(program, Choices({}))
        if plain.error is not None:
            _found(program, plain, 0, 0, False)
        if strategy == "exhaustive":
            return _go_through(program, level, deviations, seeds, shrink)
        for count, seed in enumerate(range(first, first + seeds), 1):
            outcome = attempt(program, drawn(seed, level, strategy, plain.steps), seed)
            if outcome.error is not None:
                _found(program, outcome, seed, count, shrink)
            if count % COLLECT_EVERY == 0:
                gc.collect(0)
        return seeds + 1


@contextmanager
def _quiet() -> Iterator[None]:
    """Hundreds of runs are going to end in the middle: nobody wants to hear what they have left open."""
    collects = gc.isenabled()
    gc.disable()
    freezes = hasattr(gc, "freeze")  # PyPy has no such thing
    if freezes:
        gc.freeze()
    try:
        with outside.replaced(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            try:
                yield
            finally:
                gc.collect()
    finally:
        if freezes:
            gc.unfreeze()
        if collects:
            gc.enable()


def replay(main: Callable[[], Any], token: str, **options: Any) -> None:
    """Run *main* as *token*, from the report of a failure, tells it. Raises what it raises.

    *token* may be the name of a .json file, too, that a report was saved in. The *options* are those that
    `explore` had. Raises ValueError if *token* is none, OSError if there is no such file; RuntimeError if the
    run went another way than when it was made: the program has changed since, or Python has.
    """
    parsed = token_of(token)
    choices = Choices.replayed(parsed.deviations)
    outcome = attempt(Program(main, **options), choices, parsed.seed)
    if outcome.error is not None:
        raise outcome.error
    _check_followed(parsed, choices)


def examine(main: Callable[[], Any], token: Token, **options: Any) -> None:
    """Run *main* as *token* tells it. Raises `Found`, with the report, if that fails; else as `replay`.

    *options* are those that `explore` had: those that say what the world is like count here.
    """
    choices = Choices.replayed(token.deviations)
    program = Program(main, **{name: options[name] for name in WORLD if name in options})
    with _quiet():
        outcome = attempt(program, choices, token.seed)
        if outcome.error is not None:
            _found(program, outcome, token.seed, 1, False)
    _check_followed(token, choices)


def filmed(program: Program, token: Token, title: str) -> Recording:
    """The run of *token*, for the player of `loopkit trace`."""
    from .film import Film

    film = Film()
    with _quiet():
        outcome = attempt(program, Choices.replayed(token.deviations), token.seed, film)
    return film.recording(outcome.error, title=title)


def _check_followed(parsed: Token, choices: Choices) -> None:
    """Raise RuntimeError unless the run has met every question that the token answers."""
    missing = len(parsed.deviations) - len(choices.made)
    if missing > 0:
        here = sys.version_info[1]
        reason = (
            f"it was made on Python 3.{parsed.version}, this is 3.{here}"
            if parsed.version != here
            else "the program is another one, or depends on what the simulation does not decide"
        )
        if parsed.version == here and sys.flags.hash_randomization:
            reason += ", such as the order of a set of strings: PYTHONHASHSEED settles that"
        raise RuntimeError(f"the replay diverged: {missing} deviations were never reached; {reason}")


# -- found ---------------------------------------------------------------------------------------------------


def _found(program: Program, outcome: Outcome, seed: int, count: int, shrink: bool) -> None:
    made, first = tuple(outcome.choices.made), seed
    if shrink and made:
        made = smaller(program, made, seed, outcome.signature, Budget())
        made, seed = lower(program, made, seed, outcome.signature, Budget())
    trace, note = Trace(), ""
    final = attempt(program, Choices.replayed(made), seed, trace)
    if final.error is None:  # it depends on something that no schedule decides
        note = _unsteady(program, made, seed, trace)
        final, seed = outcome._replace(trace=trace), first
    made = tuple(final.choices.made)
    token = Token(sys.version_info[1], level_of(made), seed, made)
    report = Report(program, final, token, count, note)
    raise Found(report) from final.error


def _unsteady(program: Program, made: Made, seed: int, trace: Trace) -> str:
    """A schedule has failed, and not again, in the run of *trace*: what to tell of it."""
    again = Trace()
    attempt(program, Choices.replayed(made), seed, again)
    pairs = zip_longest(trace.events, again.events)
    place = next((one or other for one, other in pairs if one != other), None)
    where = "" if place is None else f" Two more runs differ first at: {place.text} {place.place}".rstrip()
    return (
        "it failed once, and not when the same schedule was repeated: the program depends on what no "
        f"schedule decides, as a real clock, or the order of a set of objects.{where}"
    )


class Budget:
    """How much may still be tried."""

    def __init__(self) -> None:
        self.runs, self.end = SHRINK_RUNS, time.process_time() + SHRINK_SECONDS

    def spend(self) -> bool:
        self.runs -= 1
        return self.runs >= 0 and time.process_time() < self.end


Made = tuple[Deviation, ...]


def smaller(program: Program, made: Made, seed: int, wanted: tuple[str, str], budget: Budget) -> Made:
    """Fewer deviations, and smaller ones, that fail in the same way."""

    def fails(candidate: Made) -> Made | None:
        if not budget.spend():
            return None
        outcome = attempt(program, Choices.replayed(candidate), seed)
        if outcome.signature != wanted:
            return None
        done = tuple(outcome.choices.made)
        return done if len(done) <= len(candidate) else candidate

    made = fails(made) or made
    for kind in ("order", "sleep", "cut", "poll", "net", "late"):  # a whole kind at once
        rest = tuple(deviation for deviation in made if deviation.kind != kind)
        if len(rest) < len(made) and (less := fails(rest)) is not None:
            made = less
    size = max(len(made) // 2, 1)
    while size:
        start = 0
        while start < len(made):
            less = fails(made[:start] + made[start + size :])
            if less is not None:
                made = less
            else:
                start += size
        size //= 2
    for place in range(len(made)):
        while place < len(made) and made[place].value > 1:
            kind, at, value = made[place]
            less = fails((*made[:place], Deviation(kind, at, value - 1), *made[place + 1 :]))
            if less is None:
                break
            made = less
    return made


def lower(
    program: Program, made: Made, seed: int, wanted: tuple[str, str], budget: Budget
) -> tuple[Made, int]:
    """The same failure at the lowest level at which it is found."""
    label = level_of(made)
    for level in LEVELS:
        if level == label:
            break
        for other in range(LOWER_SEEDS):
            if not budget.spend():
                return made, seed
            outcome = attempt(program, drawn(other, level, "mix"), other)
            if outcome.signature == wanted:
                found = tuple(outcome.choices.made)
                return smaller(program, found, other, wanted, Budget()), other
    return made, seed


# -- all of them ---------------------------------------------------------------------------------------------


def _go_through(program: Program, level: str, deviations: int, limit: int, shrink: bool) -> int:
    """Every run with at most so many deviations: first none, then one, then two."""
    waiting: deque[Made] = deque([()])
    runs = 0
    while waiting and runs < limit:
        made = waiting.popleft()
        runs += 1
        choices = Choices.replayed(made)
        choices.kinds = kinds_of(level)
        choices.asked = []
        outcome = attempt(program, choices)
        if outcome.error is not None:
            _found(program, outcome, 0, runs, shrink)
        if len(made) < deviations:
            waiting += _extensions(made, choices.asked)
    return runs


def _extensions(made: Made, asked: list[tuple[str, int, int]]) -> list[Made]:
    """*made* and one more, at each question after the last of *made*, so that no run comes twice."""
    start = 0
    if made:
        last = made[-1]
        start = next((n for n, (kind, at, _) in enumerate(asked) if (kind, at) == last[:2]), len(asked)) + 1
    return [
        (*made, Deviation(kind, at, value))
        for kind, at, limit in asked[start:]
        for value in range(1, limit + 1)
    ]
