"""The load process: reads jobs from standard input, one JSON object a line, and answers each with one line.

`{"hold": true}` in a job makes it say `{"ready": true}` after the warm-up and wait for a line before it
measures.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from typing import Any

from loopkit.bench.load.connections import Broken
from loopkit.bench.load.jobs import JOBS


def answer(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def hold() -> None:
    answer({"ready": True})
    sys.stdin.readline()


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job; what goes wrong becomes text."""
    try:
        return JOBS[job["kind"]](job, hold if job.get("hold") else lambda: None)
    except Broken as error:
        return {"error": str(error)}
    except OSError as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, [int(cpu) for cpu in sys.argv[1].split(",")])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()
    for line in sys.stdin:
        result = work(json.loads(line))
        gc.collect()
        answer(result)


if __name__ == "__main__":
    main()
