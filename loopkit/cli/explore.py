"""``loopkit explore FILE::test``: look for a schedule that fails a test, and tell what it needs."""

from __future__ import annotations

from typing import Any

from loopkit.cli.options import UsageError
from loopkit.cli.simulation import check_trace, found, options, target

__all__ = ["main"]

_USAGE = """\
usage: loopkit explore [OPTIONS] FILE::test
       loopkit explore [OPTIONS] FILE::Class::test

Runs an async function or test without arguments again and again on a
simulated kernel, with another schedule each time, and tells the first that
fails: what happened, whether it can happen on asyncio as it is, and the line
that repeats it. Exit code 0: nothing was found; 1: something was.

  --seeds N          how many schedules (100)
  --seed N           the first of them (0)
  --level NAME       time: only lateness and arrival differ (the default);
                     sleep: and how long sleeps last;
                     order: and the order of steps of different tasks
  --strategy NAME    mix (the default), stall, sleep, order, pct, all,
                     stall+sleep, pct+stall, exhaustive
  --save FILE        also keep the failure, in a .json file that loopkit replay
                     and pytest --loopkit-replay take for a token
  --trace FILE       also write each turn of the failing run: .html is a page
                     that plays it; .json and .txt as of loopkit trace

What @pytest.mark.loopkit says of a test is true here, too, unless an option
says otherwise. A test that needs fixtures is explored by pytest.
"""

OPTIONS = ("seeds", "seed", "level", "strategy", "save", "trace")


def main(argv: list[str]) -> int:
    """Explore, and print the report; 1 if something was found, else 0."""
    chosen = options(argv, "explore", OPTIONS)
    if chosen is None:
        print(_USAGE, end="")
        return 0
    if len(chosen.words) != 1:
        raise UsageError("explore needs a test, and one only: loopkit explore FILE::test")
    check_trace(chosen.trace)
    from loopkit.testing import Found, explore

    test = chosen.words[0]
    function, marked = target(test, "explore")
    given: dict[str, Any] = {
        "seeds": chosen.seeds,
        "first": chosen.seed,
        "level": chosen.level,
        "strategy": chosen.strategy,
    }
    how = {**marked, **{name: value for name, value in given.items() if value is not None}}
    try:
        runs = explore(function, **how)
    except Found as failure:
        return found(failure.report, test, chosen)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
    print(f"{runs} schedules, and none fails at level {how.get('level', 'time')}")
    return 0
