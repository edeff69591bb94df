"""`await` by itself waits for nothing: the words of one scheduler mean nothing to another."""

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
    """On the loop of chapter 7, driven as Task.step() of chapter 8 drives it: by send(None)."""
    loop = tinyloop.Loop()
    try:
        nap().send(None)
    except RuntimeError as error:
        return f"RuntimeError: {error}"
    finally:
        loop.close()


def right():
    """On the loop of chapter 9, which speaks asyncio's language."""
    with asyncio.Runner(loop_factory=hundred_lines.Loop) as runner:
        return runner.run(nap())


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
