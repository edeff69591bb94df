"""`loopkit bench`: compare event loops on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopkit.bench.results import Report

DESCRIPTION = """\
Run the same programs on every loopkit poller, stdlib asyncio, uvloop and the other loops that are installed,
each in a fresh process and loaded from another one, and print how they compare. Every byte that comes back is
checked."""


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="loopkit bench", description=DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    add(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        default=["echo"],
        help="scenarios or groups (default: echo)",
    )
    add("--list", action="store_true", help="list scenarios, groups and loops, and stop")
    add("--rounds", type=positive, metavar="N", help="rounds, of which the median counts (default: 5)")
    add("--quick", action="store_true", help="3 rounds of half the length: a first impression")
    add("--loops", metavar="A,B", default="", help="only these loops: names, or module:factory")
    add("--loop", action="append", default=[], metavar="SPEC", help="this loop too; may be repeated")
    add(
        "--warm",
        action="store_true",
        help="warm the heap first, as a long-lived process may have it by chance",
    )
    add(
        "--json", metavar="FILE", help="write the result as JSON; - for standard output, instead of the table"
    )
    return parser


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def main(argv: list[str]) -> int:
    """Run the verb.

    Args:
        argv: the arguments after `bench`.

    Returns:
        0 if any loop finished any scenario, 1 if none did, 2 for bad usage, 130 after Ctrl-C.
    """
    try:
        options = make_parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    if not sys.platform.startswith("linux"):
        return complain(
            "it reads the processor time of other processes as Linux tells it, and this is no Linux"
        )
    if options.list:
        return show_list()
    try:
        return run(options)
    except (ValueError, OSError) as error:
        return complain(str(error))


def complain(text: str) -> int:
    """Say what is wrong, in one line. Returns 2."""
    print(f"loopkit bench: {text}", file=sys.stderr)
    return 2


def run(options: argparse.Namespace) -> int:
    """Measure and report."""
    from loopkit.bench import loops, plan, scenarios
    from loopkit.bench.measure import Settings
    from loopkit.bench.report.terminal import PlainScreen, open_screen

    chosen = scenarios.choose(options.scenarios)
    names = [name for name in options.loops.split(",") if name]
    contestants, notes = loops.choose(names, options.loop)
    for note in notes:
        print(note, file=sys.stderr)
    if not contestants:
        raise ValueError("none of these loops is installed")
    rounds = options.rounds or (3 if options.quick else 5)
    settings = Settings(rounds, 0.5 if options.quick else 1.0, "warm" if options.warm else "cold")
    to_stdout = options.json == "-"
    screen = PlainScreen() if to_stdout else open_screen(sys.stdout, sys.stderr)
    try:
        report = plan.run(chosen, contestants, settings, screen.progress)
    finally:
        screen.close()
    if to_stdout:
        print(report.to_json())
    else:
        screen.show(report)
    if options.json and not to_stdout:
        save(Path(options.json), report.to_json())
    return exit_code(report)


def save(path: Path, text: str) -> None:
    """Write a file, and say so."""
    path.write_text(text)
    print(f"wrote {path}", file=sys.stderr)


def exit_code(report: Report) -> int:
    """130 after Ctrl-C, 0 if there is any figure, 1 if there is none."""
    if "interrupted" in report.about:
        return 130
    return 0 if report.has_figures else 1


def show_list() -> int:
    """Print what there is to choose from. Returns 0."""
    from loopkit.bench import loops, scenarios

    print("Scenarios:")
    for scenario in scenarios.SCENARIOS.values():
        print(f"  {scenario.name:<20} {scenario.title}")
    print("\nGroups:")
    for name, members in scenarios.GROUPS.items():
        print(f"  {name:<20} {', '.join(members) if name != 'all' else 'every scenario'}")
    print("\nLoops:")
    for contestant in loops.KNOWN.values():
        state = "" if contestant.is_installed else "  (not installed)"
        what = contestant.factory or "a bare select.epoll server, no event loop"
        print(f"  {contestant.name:<20} {what}{state}")
    return 0
