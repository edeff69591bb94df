"""``loopkit replay TOKEN FILE::test``: run one schedule again, and tell what happens in it."""

from __future__ import annotations

from pathlib import Path

from loopkit.cli.options import UsageError
from loopkit.cli.simulation import Options, found, target

__all__ = ["main"]

_USAGE = """\
usage: loopkit replay TOKEN FILE::test [--html FILE]

Runs an async function or test without arguments once more as a token tells
it, from the report of loopkit explore or of pytest. Exit code 0: it does not
fail (any more); 1: it does, and the report is printed; 2: the token is none,
or the program is not the one that it was made with.
"""


def main(argv: list[str]) -> int:
    """Replay, and print the report; 1 if it fails, else 0."""
    words, html = list(argv), None
    if {"-h", "--help"} & set(words):
        print(_USAGE, end="")
        return 0
    if "--html" in words:
        place = words.index("--html")
        if place + 1 == len(words):
            raise UsageError("--html needs a file")
        html = words[place + 1]
        del words[place : place + 2]
    if len(words) != 2 or any(word.startswith("--") for word in words):
        raise UsageError("replay needs a token and a test: loopkit replay TOKEN FILE::test")
    token, name = words
    from loopkit.testing import Found
    from loopkit.testing.choices import parse_token
    from loopkit.testing.explore import examine

    try:
        parsed = parse_token(token)
    except ValueError as error:
        raise UsageError(str(error)) from None
    function = target(name, "replay")
    try:
        examine(function, parsed)
    except Found as failure:
        return found(failure, Options(target=name, html=html))
    except RuntimeError as error:
        raise UsageError(str(error)) from None
    print(f"it does not fail: {Path(name.partition('::')[0]).name} passes with this schedule")
    return 0
