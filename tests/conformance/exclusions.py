"""The tests that are not run, with the reason of each.

`exclusions.txt` holds what looks inside stdlib asyncio; `inherent.txt` what one poller cannot do by its
nature. A line is a test, or `module.Class.*` where a whole class is of one kind, and then the reason. In
`inherent.txt` the name of the loop comes first.
"""

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
def white_box() -> dict[str, str]:
    """The exclusions that hold for every loop."""
    return parse((HERE / "exclusions.txt").read_text())


@cache
def inherent(loop: str) -> dict[str, str]:
    """The exclusions that the nature of one loop's poller demands."""
    lines = (HERE / "inherent.txt").read_text().splitlines()
    own = [line.partition(" ")[2].strip() for line in lines if line.partition(" ")[0] == loop]
    return parse("\n".join(own))


def reason_for(test: str, loop: str) -> str | None:
    """Why that test is not run with that loop; None if it is run."""
    reasons = white_box() | inherent(loop)
    if test in reasons:
        return reasons[test]
    return next((reason for pattern, reason in reasons.items() if fnmatchcase(test, pattern)), None)
