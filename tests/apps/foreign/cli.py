"""The command: runs the suites, compares, and says what is new.

It ends with 0 if every difference is known, with 1 if not, with 2 if a suite could not be run.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.apps.foreign import running
from tests.apps.foreign.known import Known, read
from tests.apps.foreign.suites import SUITES, Suite

#: How often a difference is run again, on both loops, before it is believed.
AGAIN = 3


def main() -> int:
    options = _parser().parse_args()
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    known, status = read(), 0
    print("| suite | tests | pass on both | only on asyncio | only on loopkit |\n|---|---|---|---|---|")
    notes: list[str] = []
    for name in options.suites or SUITES:
        try:
            status = max(status, _examine(SUITES[name], options, folder, known, notes))
        except running.Unusable as exc:
            notes.append(f"{name}: {exc}")
            status = 2
    print("\n".join(["", *notes] if notes else []))
    return status


def _examine(
    suite: Suite, options: argparse.Namespace, folder: Path, known: list[Known], notes: list[str]
) -> int:
    python = options.python or running.environment(suite, folder)
    where = running.source(suite, folder, python)
    extra = ["-n", str(options.n)] if options.n else []
    extra += ["-k", options.k] if options.k else []

    def run(loop: str, only: list[str]) -> running.Outcomes:
        return running.outcomes(suite, loop, python, where, only, [] if only else extra)

    theirs, ours = run("asyncio", []), run(options.poller, [])
    differing = {test for test in {*theirs, *ours} if passes(theirs, test) != passes(ours, test)}
    for _ in range(AGAIN):
        if differing:
            again = run("asyncio", sorted(differing)), run(options.poller, sorted(differing))
            # One that ends otherwise this time is not the loop's doing.
            differing = {
                test
                for test in differing
                if (passes(again[0], test), passes(again[1], test))
                == (passes(theirs, test), passes(ours, test))
            }
    lost = sorted(test for test in differing if passes(theirs, test))
    gained = sorted(differing.difference(lost))
    both = sum(passes(theirs, test) and passes(ours, test) for test in theirs)
    print(
        f"| {suite.name} {suite.version} | {len(theirs)} | {both} | {len(lost)} | {len(gained)} |", flush=True
    )
    new = False
    for test in lost:
        reason = next((entry.reason for entry in known if entry.is_of(suite.name, test)), None)
        new = new or reason is None
        notes.append(
            f"{suite.name}: {test}\n    {ours.get(test, ('', 'was not run'))[1]}\n    {reason or 'NEW'}"
        )
    notes += [
        f"{suite.name}: {test}\n    passes on loopkit only: {theirs[test][1]}"
        for test in gained
        if test in theirs
    ]
    return int(new)


def passes(outcomes: running.Outcomes, test: str) -> bool:
    return outcomes.get(test, ("absent", ""))[0] != "failed" and test in outcomes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.apps.foreign", description="Other people's tests.")
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"of {', '.join(SUITES)}; default: all")
    parser.add_argument("--poller", default="epoll", help="loopkit's (default: epoll)")
    parser.add_argument("--folder", type=Path, help="for sources and environments; kept from run to run")
    parser.add_argument(
        "--python", type=Path, help="an environment that has everything, instead of one a suite"
    )
    parser.add_argument("-k", metavar="EXPRESSION", help="only these tests, as pytest has it")
    parser.add_argument("-n", type=int, default=0, help="processes of pytest-xdist (default: none)")
    parser.set_defaults(folder=Path(tempfile.gettempdir()) / "loopkit-foreign")
    return parser
