"""aiocop reports calls that can block: what a coroutine does, and what a loop does on its behalf."""

import asyncio
import sys
import tempfile
import time

import aiocop
from everything import do_everything
from proof import loop_name

reports = []


async def main():
    aiocop.detect_slow_tasks(threshold_ms=30, on_slow_task=reports.append)
    aiocop.activate()
    # A coroutine's step is watched if it was scheduled after the loop was patched.
    await asyncio.create_task(do_everything(folder, *sys.argv[1:]))
    print("a loop's work:", *names())
    await asyncio.create_task(block())
    aiocop.deactivate()
    print("a task's work:", *names())
    print("loop:", loop_name())


async def block():
    time.sleep(0.05)


def names():
    """The calls in the reports so far, which are forgotten."""
    events = [event for report in reports for event in report.blocking_events]
    reports.clear()
    return sorted({event["event"].partition("(")[0] for event in events})


aiocop.patch_audit_functions()
aiocop.start_blocking_io_detection(trace_depth=20)
with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main())
