"""The command: python -m tests.compatibility."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from . import page, probes  # noqa: F401  # importing the probes registers them
from .measure import Results, measure


def main(
    arguments: Sequence[str] | None = None,
    measure: Callable[[], Results] = measure,
    path: Path = page.PAGE,
) -> int:
    """Run what the command line asks for; 0 if all is well, 1 for a stale page, 2 if it cannot be done."""
    options = _parser().parse_args(arguments)
    python, uvloop = page.versions()
    here = ".".join(python.split(".")[:2])
    if (options.write or options.check) and here != page.REFERENCE:
        return _refuse(f"the page is about Python {page.REFERENCE}, this is {here}")
    if uvloop is None and not (options.check or options.json):
        return _refuse("the page needs uvloop, which is not installed")
    results = measure()
    if options.json:
        print(json.dumps(asdict(results)))
    elif options.check:
        return _check(path, results)
    elif options.write:
        path.write_text(page.render(results))
    else:
        print(page.render(results), end="")
    return 0


def _refuse(why: str) -> int:
    print(f"compatibility: {why}", file=sys.stderr)
    return 2


def _check(path: Path, results: Results) -> int:
    text = path.read_text() if path.exists() else ""
    if not page.comparable(text):
        here = "Python {}, uvloop {}".format(*page.versions())
        print(f"compatibility: the page has other versions than {here}: uvloop is left out", file=sys.stderr)
    changes = page.differences(text, results)
    if changes:
        what_to_do = f"compatibility: {path} is stale: run python -m tests.compatibility --write"
        print(what_to_do, *changes, sep="\n  ")
    return int(bool(changes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.compatibility", description="Try every method of asyncio's loop on every loop."
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--write", action="store_true", help="write docs/reference/compatibility.md")
    one.add_argument("--check", action="store_true", help="exit code 1 if that page is stale")
    one.add_argument("--json", action="store_true", help="print every outcome as JSON instead of the page")
    return parser
