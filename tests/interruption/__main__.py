"""python -m tests.interruption [PROGRAM ...] [--occurrences N]: every line, and what was lost."""

import argparse

import loopkit
from tests.interruption.harness import examine
from tests.interruption.programs import PROGRAMS


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.interruption", description=__doc__)
    parser.add_argument(
        "programs", nargs="*", default=list(PROGRAMS), metavar="PROGRAM", help=", ".join(PROGRAMS)
    )
    parser.add_argument("--occurrences", type=int, default=3, help="how often each line is hit (3)")
    chosen = parser.parse_args()
    failed = False
    for name in chosen.programs:
        runs, found = examine(PROGRAMS[name], loopkit.EpollLoop, chosen.occurrences)
        print(f"{name}: {runs} interruptions, {len(found)} with a loss", flush=True)
        for where, problems in found.items():
            failed = True
            print(f"    {where}\n        {'; '.join(problems)}", flush=True)
    raise SystemExit(failed)


main()
