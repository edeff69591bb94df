"""``loopkit replay TOKEN FILE::test``: run one schedule again, and tell what happens in it."""

from __future__ import annotations

from pathlib import Path

from loopkit.cli.options import UsageError
from loopkit.cli.simulation import check_trace, found, options, target

__all__ = ["main"]

_USAGE = """\
usage: loopkit replay [--trace FILE] TOKEN FILE::test
       loopkit replay [--trace FILE] FAILURE.json [FILE::test]

Runs an async function or test without arguments once more as a token tells
it, from the report of loopkit explore or of pytest, or from the file in which
one of them has kept the failure. Exit code 0: it does not fail (any more); 1:
it does, and the report is printed; 2: the token is none, or the program is
not the one that it was made with.

  --trace FILE   also write each turn of the run: .html is a page to play it;
                 .json and .txt as of loopkit trace
"""


def main(argv: list[str]) -> int:
    """Replay, and print the report; 1 if it fails, else 0."""
    chosen = options(argv, "replay", ("trace",))
    if chosen is None:
        print(_USAGE, end="")
        return 0
    check_trace(chosen.trace)
    from loopkit.testing import Found
    from loopkit.testing.choices import parse_token, saved
    from loopkit.testing.exploring import examine

    token, *tests = chosen.words or [""]
    if len(tests) > 1 or not (tests or token.endswith(".json")):
        raise UsageError("replay needs a token and a test: loopkit replay TOKEN FILE::test")
    try:
        kept = saved(token) if token.endswith(".json") else {"token": token}
        parsed = parse_token(kept["token"])
    except OSError as error:
        raise UsageError(f"cannot read {token}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    test = tests[0] if tests else kept.get("test") or ""
    function, marked = target(test, "replay")
    try:
        examine(function, parsed, **marked)
    except Found as failure:
        return found(failure.report, test, chosen)
    except RuntimeError as error:
        raise UsageError(str(error)) from None
    print(f"it does not fail: {Path(test.partition('::')[0]).name} passes with this schedule")
    return 0
