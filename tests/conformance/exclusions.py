"""The tests that are not run, with the reason of each.

`exclusions.txt` holds what looks inside stdlib asyncio; `inherent.txt` what one loop cannot be
tested for. A line is a test, or `module.Class.*` where a whole class is of one kind, and then the reason;
"3.12:" or "3.13+:" in front says on which Python, where that is not all of them. In `inherent.txt` the name
of the loop comes first.
"""

import sys
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


def parse(text: str) -> dict[str, str]:
    """{pattern: reason}. Raises ValueError for a line without a reason and for a pattern that comes twice."""
    reasons: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, reason = line.partition(" ")
        if not reason.strip():
            raise ValueError(f"no reason is given for excluding {pattern}")
        if pattern in reasons:
            raise ValueError(f"{pattern} is excluded twice")
        reasons[pattern] = reason.strip()
    return reasons


@cache
def listed() -> dict[str, str]:
    """Everything that `exclusions.txt` says, for all versions of Python."""
    return parse((HERE / "exclusions.txt").read_text())


@cache
def white_box() -> dict[str, str]:
    """The exclusions that hold for every loop, on the running Python."""
    reasons = {}
    for pattern, reason in listed().items():
        versions, _, test = pattern.rpartition(":")
        if _applies(versions):
            reasons[test] = reason
    return reasons


def _applies(versions: str) -> bool:
    """Whether "", "3.12" (that one) or "3.13+" (that one and all later) stand for the running Python."""
    if not versions:
        return True
    first = tuple(int(number) for number in versions.removesuffix("+").split("."))
    here = sys.version_info[:2]
    return here >= first if versions.endswith("+") else here == first


@cache
def inherent(loop: str) -> dict[str, str]:
    """The exclusions that hold for one loop because of what it is."""
    lines = (HERE / "inherent.txt").read_text().splitlines()
    return parse("\n".join(line.removeprefix(loop + " ") for line in lines if line.startswith(loop + " ")))


def reason_for(test: str, loop: str) -> str | None:
    """Why that test is not run with that loop; None if it is run."""
    reasons = white_box() | inherent(loop)
    if test in reasons:
        return reasons[test]
    return next((reason for pattern, reason in reasons.items() if fnmatchcase(test, pattern)), None)
