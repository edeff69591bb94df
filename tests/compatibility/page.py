"""The results as a page of the documentation, and whether the page is still true."""

import platform
import re
from collections import Counter
from importlib import metadata
from pathlib import Path

from .measure import COLUMNS, Results
from .registry import METHODS, of

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "compatibility.md"

# The minor version that the page is about.
REFERENCE = "3.13"

INTRODUCTION = """\
# Compatibility

The {count} methods of `asyncio.AbstractEventLoop`, on each loop. Small programs try a method: its keywords,
kinds of sockets, promises of asyncio's documentation. It *works* where all of them pass, is *partial* where
some do, and *missing* where all end in `NotImplementedError`. loopkit's column is about all four pollers:
what fails on one has failed.

Every cell comes from a run; `python -m tests.compatibility --write` repeats it and writes this page. A test
fails when the page is no longer true. CPython {python}, uvloop {uvloop}.
"""


def versions() -> tuple[str, str | None]:
    """Of Python and of uvloop, if that is installed."""
    try:
        return platform.python_version(), metadata.version("uvloop")
    except metadata.PackageNotFoundError:
        return platform.python_version(), None


def render(results: Results) -> str:
    """The whole page. Every column must have been measured."""
    python, uvloop = versions()
    lines = [INTRODUCTION.format(count=len(METHODS), python=python, uvloop=uvloop)]
    lines += [f"| method | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for method in METHODS:
        cells = [results.status(column, method) for column in COLUMNS]
        marks = [
            f"{cell} [^{column}-{method}]" if cell in ("partial", "broken") else cell
            for column, cell in zip(COLUMNS, cells, strict=True)
        ]
        lines.append(f"| `{method}` | {' | '.join(marks)} |")
    totals = [", ".join(summary(results, column)) for column in COLUMNS]
    lines += [f"| **all** | {' | '.join(totals)} |", "", "## What was tried", ""]
    lines += [f"- `{method}`: {'; '.join(probe.what for probe in of(method))}" for method in METHODS]
    return "\n".join([*lines, "", *_footnotes(results)])


def summary(results: Results, column: str) -> list[str]:
    """How many methods work, and so on."""
    counts = Counter(results.status(column, method) for method in METHODS)
    return [f"{counts[s]} {s}" for s in ("works", "partial", "missing", "broken") if counts[s]]


def _footnotes(results: Results) -> list[str]:
    lines = []
    for method in METHODS:
        for column in COLUMNS:
            if results.status(column, method) in ("partial", "broken"):
                outcomes = results.of(column, method).items()
                failed = [f"*{what}*: `{outcome}`" for what, outcome in outcomes if outcome]
                lines += [f"[^{column}-{method}]: {column}, {'; '.join(failed)}", ""]
    return lines


def differences(text: str, results: Results) -> list[str]:
    """What makes the page stale, in words.

    With the versions of the page itself, to the letter. With another patch release of Python or another
    uvloop, whose results may rightly differ, only loopkit's and asyncio's columns count.
    """
    if comparable(text):
        new, old = render(results).splitlines(), text.splitlines()
        changes = [f"no longer true: {line}" for line in old if line and line not in new]
        changes += [f"not on the page: {line}" for line in new if line and line not in old]
        return changes or (["the order of its lines"] if new != old else [])
    cells = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    changes = [f"no such method: {method}" for method in cells if method not in METHODS]
    for method in METHODS:
        there = re.sub(r" \[.*?\]", "", cells.get(method, "")).split(" | ")[:2]
        here = [results.status(column, method) for column in ("loopkit", "asyncio")]
        if there != here:
            changes.append(f"{method}: {here}, on the page {there}")
    return changes


def comparable(text: str) -> bool:
    """Whether the page was written with these versions of Python and uvloop."""
    return "CPython {}, uvloop {}.".format(*versions()) in text
