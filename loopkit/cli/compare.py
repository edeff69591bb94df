"""`loopkit bench compare`: has a figure become worse since a result was kept, or since another version?"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopkit.bench.loops import Contestant
    from loopkit.bench.measure import Settings
    from loopkit.bench.results import Report
    from loopkit.bench.scenario import Scenario

USAGE = """\
loopkit bench compare OLD.json NEW.json
       loopkit bench compare OLD.json [options]
       loopkit bench compare FOLDER [SCENARIO...] [options]"""
DESCRIPTION = """\
Two results are compared with each other. One result alone is compared with what the same scenarios and loops
need now, on this machine. A folder with another version of loopkit is measured together with this one, round
by round, which is the most exact of the three. The exit code is 1 if anything of loopkit's is worse."""
NOW = "now"
#: Rounds of a comparison of versions: from nine on the interval leaves out the most extreme rounds.
ROUNDS = 9


def compare(argv: list[str]) -> int:
    """Run the verb.

    Args:
        argv: the arguments after `compare`.

    Returns:
        0 if nothing of loopkit's is worse, 1 if something is.
    """
    from loopkit.cli.bench import positive

    parser = argparse.ArgumentParser(
        prog="loopkit bench compare", usage=USAGE, description=DESCRIPTION, allow_abbrev=False
    )
    add = parser.add_argument
    add("old", metavar="OLD", help="a result, or the folder of another version of loopkit")
    add("rest", nargs="*", metavar="...", help="the newer result; for a folder: scenarios, default echo")
    add(
        "--rounds", type=positive, metavar="N", help=f"of the folder, default: {ROUNDS}; of a result: its own"
    )
    add("--quick", action="store_true", help="windows of half the length")
    add("--warm", action="store_true", help="warm the heap first")
    add("--json", metavar="FILE", help="write what was measured as JSON")
    options = parser.parse_args(argv)
    if Path(options.old).is_dir():
        return compare_versions(options)
    if len(options.rest) > 1:
        raise ValueError(f"two results can be compared, not {1 + len(options.rest)}")
    return compare_results(options)


def compare_results(options: argparse.Namespace) -> int:
    """A kept result with another one, or with a run made now."""
    from loopkit.bench.report.compare import compare_reports
    from loopkit.bench.results import load_report

    old = load_report(Path(options.old))
    new = load_report(Path(options.rest[0])) if options.rest else repeat(old, options)
    text, worse = compare_reports(old, new)
    print(text)
    if "interrupted" in new.about and not options.rest:
        return 130
    return int(worse)


def repeat(old: Report, options: argparse.Namespace) -> Report:
    """Measure the scenarios of a result again, on its loops."""
    from loopkit.bench import loops, scenarios
    from loopkit.bench.measure import Settings

    known = [scenario.name for scenario in old.scenarios if scenario.name in scenarios.SCENARIOS]
    names = list(dict.fromkeys(row.loop for scenario in old.scenarios for row in scenario.rows))
    if not known or not names:
        raise ValueError(f"{options.old} holds no scenario that this loopkit measures")
    chosen, skipped = scenarios.available(scenarios.choose(known))
    contestants, notes = loops.choose(names, [])
    for note in [*skipped, *notes]:
        print(note, file=sys.stderr)
    rounds = options.rounds or int(old.about.get("rounds", "5"))
    heap = "warm" if options.warm else old.about.get("heap", "cold")
    return run(chosen, contestants, Settings(rounds, 0.5 if options.quick else 1.0, heap), options)


def compare_versions(options: argparse.Namespace) -> int:
    """This version with the one in a folder, interleaved in one run."""
    from loopkit.bench import loops, scenarios
    from loopkit.bench.measure import Settings
    from loopkit.bench.report import versions

    chosen, skipped = scenarios.available(scenarios.choose(options.rest or ["echo"]))
    for note in skipped:
        print(note, file=sys.stderr)
    here = str(Path(__file__).parents[2])
    contestants = [loops.in_folder(options.old, options.old), loops.in_folder(here, NOW)]
    heap = "warm" if options.warm else "cold"
    settings = Settings(options.rounds or ROUNDS, 0.5 if options.quick else 1.0, heap)
    report = run(chosen, contestants, settings, options)
    text, worse = versions.show(report, options.old, NOW)
    print(text)
    if "interrupted" in report.about:
        return 130
    return int(worse or not report.has_figures)


def run(
    chosen: list[Scenario], contestants: list[Contestant], settings: Settings, options: argparse.Namespace
) -> Report:
    """Measure, and keep the result if that was asked for."""
    from loopkit.bench import plan
    from loopkit.bench.report.terminal import open_screen
    from loopkit.cli.bench import check_directories, need_linux, save

    need_linux()
    check_directories(options.json)
    if not contestants:
        raise ValueError("none of these loops is installed")
    with contextlib.closing(open_screen(sys.stdout, sys.stderr)) as screen:
        report = plan.run(chosen, contestants, settings, screen.progress)
    if options.json:
        save(options.json, report.to_json())
    return report
