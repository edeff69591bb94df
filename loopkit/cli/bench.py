"""`loopkit bench`: compare event loops on this machine, and compare results with each other."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopkit.bench.results import Report

USAGE = """\
loopkit bench [SCENARIO...] [options]
       loopkit bench compare OLD.json [NEW.json]
       loopkit bench compare FOLDER [SCENARIO...]
       loopkit bench show RESULT.json [--svg|--html|--md|--png|--json FILE]
       loopkit bench models [--sizes N,N] [--seconds S] [--svg|--json FILE]
       loopkit bench --list"""
DESCRIPTION = """\
Run the same programs on every loopkit poller, stdlib asyncio, uvloop and the other loops that are
installed, each in a fresh process and loaded from another one, and print how they compare. Every byte
that comes back is checked."""


def main(argv: list[str]) -> int:
    """Run the verb.

    Args:
        argv: the arguments after `bench`.

    Returns:
        0 if any loop finished any scenario, 1 if none did, 2 for bad usage, 130 after Ctrl-C or SIGTERM.
    """
    from loopkit.cli.compare import compare

    verbs: dict[str, Callable[[list[str]], int]] = {"compare": compare, "show": show, "models": models}
    verb = verbs.get(argv[0]) if argv else None
    # As Ctrl-C: what was measured is told, and the servers that were started for it end as well.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return verb(argv[1:]) if verb else measure(argv)
    except SystemExit as stop:
        # argparse has said what is wrong, or shown the help.
        return stop.code if isinstance(stop.code, int) else 2
    except BrokenPipeError:
        raise  # nobody reads our output any more: not an error to be told
    except (ValueError, OSError, ImportError) as error:
        print(f"loopkit bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


def measure_parser() -> argparse.ArgumentParser:
    """The command line of `loopkit bench` itself."""
    parser = argparse.ArgumentParser(
        prog="loopkit bench", usage=USAGE, description=DESCRIPTION, allow_abbrev=False
    )
    add = parser.add_argument
    add("scenarios", nargs="*", metavar="SCENARIO", default=["echo"], help="or a group; default: echo")
    add("--list", action="store_true", help="list scenarios, groups and loops, and stop")
    add("--rounds", type=positive, metavar="N", help="rounds, of which the median counts; default: 5")
    add("--quick", action="store_true", help="3 rounds of half the length: a first impression")
    add("--loops", metavar="A,B", default="", help="only these loops: names, or module:factory")
    add("--loop", action="append", default=[], metavar="SPEC", help="this loop too; may be repeated")
    add("--warm", action="store_true", help="warm the heap first, as it is by luck in long-lived processes")
    add("--syscalls", action="store_true", help="count system calls per operation, too; needs strace")
    add_outputs(parser)
    return parser


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """The options that say where results go."""
    add = parser.add_argument
    add("--json", metavar="FILE", help="write the result as JSON; - for standard output, without the table")
    add("--svg", metavar="FILE", help="write a picture")
    add("--html", metavar="FILE", help="write a page with pictures and tables")
    add("--md", metavar="FILE", help="write a summary in Markdown, one line a scenario")
    add("--png", metavar="FILE", help="write a picture with matplotlib, which must be installed")


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def measure(argv: list[str]) -> int:
    """Run scenarios and report."""
    options = measure_parser().parse_args(argv)
    if options.list:
        return show_list()
    need_linux()
    from loopkit.bench import loops, plan, scenarios
    from loopkit.bench.measure import Settings
    from loopkit.bench.report.terminal import open_screen

    chosen, skipped = scenarios.available(scenarios.choose(options.scenarios))
    usual = scenarios.USUAL.get(" ".join(options.scenarios), [])
    wanted = [name for name in options.loops.split(",") if name] or usual
    contestants, notes = loops.choose(wanted, options.loop)
    for note in [*skipped, *notes]:
        print(note, file=sys.stderr)
    if not contestants:
        raise ValueError("none of these loops is installed")
    check_outputs(options)
    rounds = options.rounds or (3 if options.quick else 5)
    heap = "warm" if options.warm else "cold"
    settings = Settings(rounds, 0.5 if options.quick else 1.0, heap, options.syscalls)
    with contextlib.closing(open_screen(sys.stdout, sys.stderr)) as screen:
        report = plan.run(chosen, contestants, settings, screen.progress)
    if options.json != "-":
        screen.show(report)
        show_growth(report)
    write_outputs(report, options)
    if "interrupted" in report.about:
        return 130
    return 0 if report.has_figures else 1


def need_linux() -> None:
    """Raise OSError elsewhere."""
    if not sys.platform.startswith("linux"):
        raise OSError("it needs Linux, where one process can read the processor time of another")


def check_outputs(options: argparse.Namespace) -> None:
    """Find out before the long run, not after it, that a result cannot be written."""
    if options.png:
        from loopkit.bench.report import png

        png.require()
    check_directories(options.json, options.svg, options.html, options.md, options.png)


def check_directories(*targets: str | None) -> None:
    """Raise ValueError if a file cannot be written because its directory is not there."""
    for target in targets:
        if target and target != "-" and not Path(target).absolute().parent.is_dir():
            raise ValueError(f"cannot write {target}: there is no such directory")


def write_outputs(report: Report, options: argparse.Namespace) -> None:
    """Write every file that was asked for."""
    from loopkit.bench.report import html, markdown, png, scale, svg

    if options.json == "-":
        print(report.to_json())
    elif options.json:
        save(options.json, report.to_json())
    if options.svg:
        crowds_only = all(scenario.name.startswith("scale-") for scenario in report.scenarios)
        picture = scale.draw if crowds_only and scale.has_crowds(report) else svg.draw
        save(options.svg, picture(report))
    if options.html:
        save(options.html, html.write(report))
    if options.md:
        save(options.md, markdown.write(report))
    if options.png:
        png.draw(report, Path(options.png))
        print(f"wrote {options.png}", file=sys.stderr)


def save(name: str, text: str) -> None:
    """Write a file, and say so."""
    Path(name).write_text(text, encoding="utf-8")
    print(f"wrote {name}", file=sys.stderr)


def show(argv: list[str]) -> int:
    """Show a result that was saved as JSON, or turn it into another form."""
    from loopkit.bench.report.terminal import open_screen
    from loopkit.bench.results import load_report

    parser = argparse.ArgumentParser(prog="loopkit bench show", allow_abbrev=False)
    parser.add_argument("result", type=Path, metavar="RESULT.json")
    add_outputs(parser)
    options = parser.parse_args(argv)
    report = load_report(options.result)
    check_outputs(options)
    if not (options.json or options.svg or options.html or options.md or options.png):
        with contextlib.closing(open_screen(sys.stdout, sys.stderr)) as screen:
            screen.show(report)
        show_growth(report)
    write_outputs(report, options)
    return 0


def show_growth(report: Report) -> None:
    """Print what grows with the number of connections, if that was measured."""
    from loopkit.bench.report import scale

    if scale.has_crowds(report):
        print(f"\n{scale.summary(report)}")


def models(argv: list[str]) -> int:
    """Compare select, poll, epoll and polling in a circle as the number of silent clients grows."""
    from loopkit.bench.models import curves, table
    from loopkit.bench.models.measure import SIZES, Settings
    from loopkit.bench.models.measure import compare as measure_models
    from loopkit.bench.report.terminal import open_screen

    parser = argparse.ArgumentParser(prog="loopkit bench models", allow_abbrev=False)
    add = parser.add_argument
    default = ",".join(map(str, SIZES))
    add("--sizes", type=sizes, default=SIZES, metavar="N,N", help=f"silent clients; default: {default}")
    add("--seconds", type=duration, default=0.6, metavar="S", help="for each server and size; default: 0.6")
    add("--json", metavar="FILE", help="write the result as JSON; - for standard output, without the table")
    add("--svg", metavar="FILE", help="write a picture")
    options = parser.parse_args(argv)
    need_linux()
    check_directories(options.json, options.svg)
    with contextlib.closing(open_screen(sys.stdout, sys.stderr)) as screen:
        comparison = measure_models(Settings(options.sizes, options.seconds), screen.progress)
    if options.json == "-":
        print(comparison.to_json())
    else:
        table.show(comparison, sys.stdout)
        if options.json:
            save(options.json, comparison.to_json())
    if options.svg:
        save(options.svg, curves.draw(comparison))
    if "interrupted" in comparison.about:
        return 130
    return 0 if any(row.cost for row in comparison.rows) else 1


def sizes(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between them, in ascending order."""
    return tuple(sorted({positive(word) for word in text.split(",")}))


def duration(text: str) -> float:
    """Seconds, more than none."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 3600")
    return seconds


def show_list() -> int:
    """Print what there is to choose from. Returns 0."""
    from loopkit.bench import loops, scenarios

    print("Scenarios:")
    for scenario in scenarios.SCENARIOS.values():
        print(f"  {scenario.name:<18} {scenario.title}")
    print("\nGroups:")
    for name, members in scenarios.GROUPS.items():
        told = "every scenario but those of scale and apps" if name == "all" else ", ".join(members)
        print(f"  {name:<18} {told}")
    print("\nLoops:")
    for contestant in loops.KNOWN.values():
        state = "" if contestant.is_installed else "  (not installed)"
        what = contestant.factory or "a bare select.epoll server, no event loop"
        print(f"  {contestant.name:<18} {what}{state}")
    return 0
