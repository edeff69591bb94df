"""aiomultiprocess: its processes make the loop that its initializer returns."""

import asyncio

from aiomultiprocess import Pool
from proof import loop_name

import loopkit


async def work(number):
    await asyncio.sleep(0.001)
    return number, loop_name()


async def main():
    async with Pool(processes=2, loop_initializer=loopkit.Loop) as pool:
        results = await pool.map(work, range(10))
    print(sum(number for number, _ in results), {name for _, name in results})
    print("loop:", loop_name())


if __name__ == "__main__":
    loopkit.run(main())
