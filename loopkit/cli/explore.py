"""``loopkit explore FILE::test``: look for a schedule that fails a test, and tell what it needs."""

from __future__ import annotations

from loopkit.cli.options import UsageError
from loopkit.cli.simulation import Options, found, options, target

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
  --html FILE        also write the report as a page

A test that needs fixtures is explored by pytest: @pytest.mark.loopkit, or
pytest --loopkit-seeds=N.
"""


def main(argv: list[str]) -> int:
    """Explore, and print the report; 1 if something was found, else 0."""
    chosen = options(argv, "explore", Options(html=None))
    if chosen is None:
        print(_USAGE, end="")
        return 0
    from loopkit.testing import Found, explore

    function = target(chosen.target, "explore")
    try:
        runs = explore(
            function, seeds=chosen.seeds, first=chosen.seed, level=chosen.level, strategy=chosen.strategy
        )
    except Found as failure:
        return found(failure, chosen)
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(f"{runs} schedules, and none fails at level {chosen.level}")
    return 0
