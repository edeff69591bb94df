"""``loopkit doctor``: what this machine offers, and whether every poller really works on it.

First facts (Python, kernel, limits, what else could be in use), then the programs of ``checks.py`` on each.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import platform
import resource
import sys
from importlib import metadata
from typing import Any

import loopkit
from loopkit.cli.checks import ABSENT, CHECKS, FAILED, Outcome, perform
from loopkit.cli.options import UsageError
from loopkit.pollers import POLLERS, best, named

__all__ = ["main"]

_USAGE = """\
usage: loopkit doctor [--poller NAME] [--json]

Prints what this machine offers, and checks every poller with small real
programs. Exit code 0: all is well; 1: something is not.

  --poller NAME   check this poller only: {pollers}
  --json          print the report as one JSON object
"""

Results = dict[str, dict[str, Outcome]]


def main(argv: list[str]) -> int:
    """Print the report; 1 if a check failed or LOOPKIT_POLLER names no poller, else 0."""
    pollers, as_json = list(POLLERS), False
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            print(_USAGE.format(pollers=", ".join(POLLERS)), end="")
            return 0
        if word == "--json":
            as_json = True
        elif name == "--poller":
            pollers = [_existing(value if equals else next(words, ""))]
        else:
            raise UsageError(f"doctor does not understand {word!r}; see loopkit doctor --help")
    facts, problems = _facts()
    results: Results = {}
    for poller in pollers:
        loop_factory = getattr(loopkit, f"{poller.title()}Loop")
        results[poller] = {name: perform(check, loop_factory) for name, check in CHECKS.items()}
    failures = [
        f"{poller}: {name}: {outcome.detail}"
        for poller, outcomes in results.items()
        for name, outcome in outcomes.items()
        if outcome.status == FAILED
    ]
    problems += failures
    if as_json:
        checks = {p: {n: o._asdict() for n, o in outcomes.items()} for p, outcomes in results.items()}
        print(json.dumps({"ok": not problems, **facts, "checks": checks, "problems": problems}, indent=2))
    else:
        _print_report(facts, results, problems)
    return 1 if problems else 0


def _existing(poller: str) -> str:
    if poller not in POLLERS:
        raise UsageError(f"no poller is called {poller!r}; choose one of {', '.join(POLLERS)}")
    return poller


# -- Facts.


def _facts() -> tuple[dict[str, Any], list[str]]:
    """Everything known without running a loop, in the shape of the JSON report; and what is wrong with it."""
    problems = []
    wanted = os.environ.get("LOOPKIT_POLLER")
    default, why = best(), "the best one here"
    try:
        named(None)
    except ValueError as error:
        problems.append(str(error))
    else:
        if wanted:
            default, why = wanted, "LOOPKIT_POLLER"
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (None if limit == resource.RLIM_INFINITY else limit for limit in limits)
    system = platform.uname()
    return {
        "loopkit": loopkit.__version__,
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "executable": sys.executable,
        },
        "kernel": {"system": system.system, "release": system.release, "machine": system.machine},
        "pollers": {name: {"limit": poller.limit} for name, poller in POLLERS.items()},
        "default": {"poller": default, "reason": why},
        "LOOPKIT_POLLER": wanted,
        "descriptors": {"soft": soft, "hard": hard},
        "loop_in_use": _explicit_loop(),
        "other_loops": _other_loops(),
    }, problems


def _explicit_loop() -> str | None:
    """What makes the loops of a plain ``asyncio.run()``, if a .pth file or sitecustomize has decided that.

    Asked of the module's variable: ``get_event_loop_policy()`` would make a policy, and warns from 3.14.
    """
    policy = getattr(asyncio.events, "_event_loop_policy", None)
    chosen = type(policy) if policy is not None else getattr(asyncio, "EventLoop", asyncio.SelectorEventLoop)
    if policy is None and chosen.__module__.startswith("asyncio."):
        return None
    return f"{chosen.__module__}.{chosen.__qualname__}"


def _other_loops() -> dict[str, str]:
    """The version of each other event loop that is installed. None is imported: some change asyncio then."""
    from loopkit.bench.loops import KNOWN

    found = {}
    for contestant in KNOWN.values():
        if contestant.install and importlib.util.find_spec(contestant.factory.partition(":")[0]):
            try:
                found[contestant.install] = metadata.version(contestant.install)
            except metadata.PackageNotFoundError:
                found[contestant.install] = "unknown version"
    return found


# -- The report for people.


def _print_report(facts: dict[str, Any], results: Results, problems: list[str]) -> None:
    lines = _lines(facts)
    rows = [[name, *(_cell(outcomes[name]) for outcomes in results.values())] for name in CHECKS]
    table = [["", *results], *rows]
    try:
        from rich.console import Console

        console = Console(highlight=False)
    except ImportError:
        console = None
    if console is not None and console.is_terminal:
        _print_rich(console, lines, table, problems)
    else:
        _print_plain(lines, table, problems)


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    python, kernel, descriptors = facts["python"], facts["kernel"], facts["descriptors"]
    pollers = [
        name if poller["limit"] is None else f"{name} (descriptors up to {poller['limit']})"
        for name, poller in facts["pollers"].items()
    ]
    soft, hard = ("unlimited" if n is None else str(n) for n in descriptors.values())
    others = ", ".join(f"{name} {version}" for name, version in facts["other_loops"].items())
    return [
        ("loopkit", facts["loopkit"]),
        ("Python", f"{python['version']} ({python['implementation']}), {python['executable']}"),
        ("kernel", f"{kernel['system']} {kernel['release']} {kernel['machine']}"),
        ("pollers", ", ".join(pollers)),
        ("default poller", f"{facts['default']['poller']}: {facts['default']['reason']}"),
        ("LOOPKIT_POLLER", facts["LOOPKIT_POLLER"] or "not set"),
        ("descriptors", f"{soft} at once (ulimit -n), which may be raised to {hard} (ulimit -Hn)"),
        ("loop in use", facts["loop_in_use"] or "asyncio's own: nothing else was set for this Python"),
        ("other loops", others or "none installed"),
    ]


def _cell(outcome: Outcome) -> str:
    return "-" if outcome.status == ABSENT else outcome.status


def _summary(table: list[list[str]], problems: list[str]) -> list[str]:
    lines = ["-: not available"] if any("-" in row[1:] for row in table) else []
    lines += [f"problem: {problem}" for problem in problems] or ["All is well."]
    return lines


def _print_plain(lines: list[tuple[str, str]], table: list[list[str]], problems: list[str]) -> None:
    for label, text in lines:
        print(f"{label:<16}{text}")
    print()
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
    print("\n".join(_summary(table, problems)))


def _print_rich(
    console: Any, lines: list[tuple[str, str]], table: list[list[str]], problems: list[str]
) -> None:
    from rich.table import Table
    from rich.text import Text

    styles = {"ok": "green", FAILED: "bold red", "-": "dim"}
    facts = Table.grid(padding=(0, 2))
    for label, text in lines:
        facts.add_row(Text(label, "bold"), Text(text))
    checks = Table(*table[0])
    for name, *cells in table[1:]:
        checks.add_row(name, *(Text(cell, styles[cell]) for cell in cells))
    console.print(facts, checks)
    for line in _summary(table, problems):
        console.print(Text(line, "bold red" if line.startswith("problem") else ""), soft_wrap=True)
