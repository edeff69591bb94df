"""Coroutines that wait for coroutines: chains, groups, time limits, cancellation, exceptions."""

import asyncio

from proof import loop_name


async def result(a, b):
    await asyncio.sleep(0.001)
    return f"{a}+{b}"


async def chain(name):
    first = await result(name, 1)
    second = await result(first, 2)
    return second


async def fail():
    raise ValueError("on purpose")


async def main():
    print(await asyncio.gather(*(chain(name) for name in "abc")))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(3600))
            group.create_task(fail())
    except* ValueError as errors:
        print("group:", errors.exceptions)
    try:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()
    except TimeoutError:
        print("too late")
    for finished in asyncio.as_completed([asyncio.sleep(0.02, "slow"), asyncio.sleep(0, "fast")]):
        print(await finished)
    print("loop:", loop_name())


asyncio.run(main())
