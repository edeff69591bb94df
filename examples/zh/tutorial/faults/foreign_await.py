"""`await` 本身并不等待什么：一个调度器的行话，另一个听不懂。"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import hundred_lines
import tinyloop


async def nap():
    await asyncio.sleep(0.01)
    return "slept"


def wrong():
    """在第 7 章的循环上，像第 8 章的 Task.step() 那样驱动它：用 send(None)。"""
    loop = tinyloop.Loop()
    try:
        nap().send(None)
    except RuntimeError as error:
        return f"RuntimeError: {error}"
    finally:
        loop.close()


def right():
    """在第 9 章的循环上，它懂 asyncio 的行话。"""
    with asyncio.Runner(loop_factory=hundred_lines.Loop) as runner:
        return runner.run(nap())


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
