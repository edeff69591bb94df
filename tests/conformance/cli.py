"""The command: python -m tests.conformance."""

import argparse
import sys
from collections.abc import Sequence

from . import parent, report, targets
from .modules import available


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 0 if nothing failed, 1 if something did, 2 for bad usage."""
    options = _parser().parse_args(arguments)
    options.loop = options.loop or list(targets.TARGETS)
    try:
        modules = _check(options)
    except (LookupError, TypeError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2

    def progress(score: parent.ModuleScore) -> None:
        if options.verbose:
            print(score.log, file=sys.stderr)
        line = f"{score.loop:8} {score.module:26} {score.passed:4} passed, {len(score.failed)} failed"
        print(f"{line}, {score.seconds:.0f} s", file=sys.stderr, flush=True)

    how = parent.Options(options.test, options.excluded, options.seconds, options.workers)
    try:
        scores = parent.run(options.loop, modules, how, progress)
    except KeyboardInterrupt:
        return 130
    print(report.as_json(scores) if options.json else report.as_text(scores))
    if options.write:
        report.write(scores)
    return int(any(score.failed for score in scores))


def _check(options: argparse.Namespace) -> list[str]:
    """The modules to run. Raises LookupError or TypeError for what cannot be done."""
    there = available()
    for loop in options.loop:
        targets.load(loop)
    for module in options.module:
        if module not in there:
            raise LookupError(f"no module is called {module!r} here; there are {', '.join(there)}")
    if options.write and (options.module or options.test or options.excluded):
        raise LookupError("--write needs a whole run, without --module, --test and --excluded")
    return options.module or there


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.conformance", description="Run CPython's own asyncio tests against event loops."
    )
    add = parser.add_argument
    names = ", ".join(targets.TARGETS)
    default = parent.Options()
    add("--loop", action="append", help=f"{names} or module:factory; may be repeated (default: all)")
    add("--module", action="append", default=[], help="only this test module; may be repeated")
    add("--test", default="", metavar="PART", help="only tests whose name contains this")
    add("--excluded", action="store_true", help="run the excluded tests as well")
    add("--seconds", type=float, default=default.seconds, help="per test, else it hangs (%(default)g)")
    add("--workers", type=int, default=default.workers, help="processes at a time (%(default)s)")
    add("--json", action="store_true", help="print JSON")
    add("--write", action="store_true", help="write the result into docs/reference/conformance.md")
    add("-v", "--verbose", action="store_true", help="print what the tests print, tracebacks included")
    return parser
