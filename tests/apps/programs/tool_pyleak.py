"""pyleak tells of tasks and threads left behind, and of a blocked loop; of no others."""

import asyncio
import sys
import tempfile
import threading
import time

from everything import do_everything
from proof import loop_name
from pyleak import (
    EventLoopBlockError,
    TaskLeakError,
    ThreadLeakError,
    no_event_loop_blocking,
    no_task_leaks,
    no_thread_leaks,
)

import loopkit


async def main():
    async with no_task_leaks(action="raise"):
        async with no_event_loop_blocking(action="raise", threshold=1):
            print(len(await do_everything(folder, *sys.argv[1:])))
    try:
        async with no_task_leaks(action="raise"):
            left = asyncio.create_task(asyncio.sleep(60), name="left")
            await asyncio.sleep(0)
    except TaskLeakError as error:
        print("task:", [leak.name for leak in error.leaked_tasks])
        left.cancel()
    try:
        async with no_event_loop_blocking(action="raise", threshold=0.1, check_interval=0.01):
            time.sleep(0.3)
            await asyncio.sleep(0)
    except EventLoopBlockError:
        print("blocked")
    end = threading.Event()
    try:
        with no_thread_leaks(action="raise", grace_period=0.01):
            threading.Thread(target=end.wait, name="left").start()
    except ThreadLeakError:
        print("thread")
    end.set()
    print("loop:", loop_name())


with tempfile.TemporaryDirectory() as folder:
    loopkit.run(main())
