"""blockbuster raises where a coroutine blocks, and nowhere else."""

import sys
import tempfile
import time

from blockbuster import BlockingError, blockbuster_ctx
from everything import do_everything
from proof import loop_name

import loopkit


async def main():
    try:
        time.sleep(0.001)
    except BlockingError as error:
        print(error)
    print(len(await do_everything(folder, *sys.argv[1:])))
    print("loop:", loop_name())


with tempfile.TemporaryDirectory() as folder, blockbuster_ctx() as blockbuster:
    # subprocess.Popen waits for its child to start; blockbuster grants that to asyncio, by file and function.
    spawning = {"subprocess_exec", "subprocess_shell"}
    blockbuster.functions["os.read"].can_block_in("loopkit/processes/spawn.py", spawning)
    loopkit.run(main())
