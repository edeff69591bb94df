"""Scenarios without a peer, in plain asyncio: the process measures itself and prints one JSON object.

Each scenario is an async function that does about `n` operations and returns how many it did, or a list of
their latencies in seconds. One that makes loops of its own is a plain function.
"""

import argparse
import asyncio
import inspect
import json
import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

BATCH = 100_000
TIMERS = 1000
#: When the first is due, in seconds. uvloop counts whole milliseconds: less would not be a timer there.
SOON = 0.002
#: Who waits for one event; who shares one queue; whose timers are put off with every request.
WAITERS = 10_000
SHARERS = 100
KEPT_ALIVE = 100

#: How many timers or tasks there are in the scenarios that are about many.
many = 0
#: The timers.
waiting: list[asyncio.TimerHandle] = []

#: Processor time and time of what an operation of a scenario that prepares for long really took.
measured: list[tuple[float, float]] = []


def nothing() -> None:
    pass


async def nothing_async() -> None:
    pass


async def call_soon(n: int) -> int:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = n

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            done.set_result(None)

    loop.call_soon(step)
    await done
    return n


async def call_soon_batch(n: int) -> int:
    loop = asyncio.get_running_loop()
    batches = max(1, n // BATCH)
    for _ in range(batches):
        for _ in range(BATCH - 1):
            loop.call_soon(nothing)
        done = loop.create_future()
        loop.call_soon(done.set_result, None)
        await done
    return batches * BATCH


async def threadsafe(n: int) -> int:
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def call() -> None:
        for _ in range(n - 1):
            loop.call_soon_threadsafe(nothing)
        loop.call_soon_threadsafe(done.set_result, None)

    thread = threading.Thread(target=call)
    thread.start()
    await done
    thread.join()
    return n


async def timers_fired(n: int) -> int:
    loop = asyncio.get_running_loop()
    batches = max(1, n // TIMERS)
    for _ in range(batches):
        done = loop.create_future()
        for microsecond in range(TIMERS - 1):
            loop.call_later(SOON + microsecond * 1e-6, nothing)
        loop.call_later(SOON + TIMERS * 1e-6, done.set_result, None)
        await done
    return batches * TIMERS


async def timers_cancelled(n: int) -> int:
    loop = asyncio.get_running_loop()
    batches = max(1, n // TIMERS)
    for _ in range(batches):
        for handle in [loop.call_later(60, nothing) for _ in range(TIMERS)]:
            handle.cancel()
        await asyncio.sleep(0)
    return batches * TIMERS


async def timers_rearmed(n: int) -> int:
    # What a server with a keep-alive timer does for every request: cancel it, set it anew.
    loop = asyncio.get_running_loop()
    kept = [loop.call_later(60, nothing) for _ in range(KEPT_ALIVE)]
    rounds = max(1, n // KEPT_ALIVE)
    for _ in range(rounds):
        for number in range(KEPT_ALIVE):
            kept[number].cancel()
            kept[number] = loop.call_later(60, nothing)
        await asyncio.sleep(0)
    for handle in kept:
        handle.cancel()
    return rounds * KEPT_ALIVE


async def timers_many(n: int) -> int:
    # One timer more, set and cancelled, while so many are waiting for their time.
    loop = asyncio.get_running_loop()
    if not waiting:
        waiting.extend(loop.call_later(3600 + number * 1e-3, nothing) for number in range(many))
    began = time.process_time(), time.perf_counter()
    for _ in range(n):
        loop.call_later(60, nothing).cancel()
    measured.append((time.process_time() - began[0], time.perf_counter() - began[1]))
    return n


async def tasks_many(n: int) -> int:
    # So many tasks wait; each is woken, steps and waits again.
    rounds = max(1, n // many)
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(many)]

    async def wait(number: int) -> None:
        for _ in range(rounds):
            await futures[number]
            futures[number] = loop.create_future()

    async with asyncio.TaskGroup() as group:
        for number in range(many):
            group.create_task(wait(number))
        await asyncio.sleep(0)
        began = time.process_time(), time.perf_counter()
        for _ in range(rounds):
            for future in futures:
                future.set_result(None)
            await asyncio.sleep(0)
        measured.append((time.process_time() - began[0], time.perf_counter() - began[1]))
    return rounds * many


async def sleep(n: int) -> int:
    for _ in range(n):
        await asyncio.sleep(0)
    return n


async def tasks(n: int) -> int:
    loop = asyncio.get_running_loop()
    batches = max(1, n // 100)
    for _ in range(batches):
        for task in [loop.create_task(nothing_async()) for _ in range(100)]:
            await task
    return batches * 100


async def gather(n: int) -> int:
    batches = max(1, n // 1000)
    for _ in range(batches):
        await asyncio.gather(*[nothing_async() for _ in range(1000)])
    return batches * 1000


async def task_group(n: int) -> int:
    batches = max(1, n // 1000)
    for _ in range(batches):
        async with asyncio.TaskGroup() as group:
            for _ in range(1000):
                group.create_task(nothing_async())
    return batches * 1000


async def broadcast(n: int) -> int:
    batches = max(1, n // WAITERS)
    event = asyncio.Event()

    async def wait() -> None:
        for _ in range(batches):
            await event.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(WAITERS):
            group.create_task(wait())
        for _ in range(batches):
            await asyncio.sleep(0)  # all of them wait
            event.set()
            event.clear()
    return batches * WAITERS


async def queue_many(n: int) -> int:
    items: asyncio.Queue[int] = asyncio.Queue(10)
    each = max(1, n // SHARERS)

    async def produce() -> None:
        for item in range(each):
            await items.put(item)

    async def consume() -> None:
        for _ in range(each):
            await items.get()

    async with asyncio.TaskGroup() as group:
        for _ in range(SHARERS):
            group.create_task(produce())
            group.create_task(consume())
    return each * SHARERS


async def timeout(n: int) -> int:
    for _ in range(n):
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
    return n


async def queue(n: int) -> int:
    items: asyncio.Queue[int] = asyncio.Queue(10)

    async def produce() -> None:
        for item in range(n):
            await items.put(item)

    producer = asyncio.create_task(produce())
    for _ in range(n):
        await items.get()
    await producer
    return n


async def wait_for(n: int) -> int:
    for _ in range(n):
        await asyncio.wait_for(asyncio.sleep(0), 60)
    return n


async def executor(n: int) -> list[float]:
    loop = asyncio.get_running_loop()
    latencies = []
    for _ in range(n):
        began = time.perf_counter()
        await loop.run_in_executor(None, nothing)
        latencies.append(time.perf_counter() - began)
    return latencies


async def subprocess(n: int) -> list[float]:
    program = shutil.which("true") or "true"
    latencies = []
    for _ in range(n):
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(program)
        if code := await process.wait():
            raise RuntimeError(f"`true` ended with exit code {code}")
        latencies.append(time.perf_counter() - began)
    return latencies


def startup(n: int) -> int:
    for _ in range(n):
        # Looked up here, for it is what the harness replaces.
        loop = asyncio.events.new_event_loop()
        loop.run_until_complete(nothing_async())
        loop.close()
    return n


SCENARIOS: dict[str, Callable[[int], Any]] = {
    "call-soon": call_soon,
    "call-soon-batch": call_soon_batch,
    "threadsafe": threadsafe,
    "timers-fired": timers_fired,
    "timers-cancelled": timers_cancelled,
    "timers-rearmed": timers_rearmed,
    "sleep": sleep,
    "tasks": tasks,
    "gather": gather,
    "task-group": task_group,
    "queue": queue,
    "queue-many": queue_many,
    "broadcast": broadcast,
    "timeout": timeout,
    "wait-for": wait_for,
    "executor": executor,
    "subprocess": subprocess,
    "startup": startup,
    "scale-timers": timers_many,
    "scale-tasks": tasks_many,
}


def measure(perform: Callable[[int], int | list[float]], n: int) -> dict[str, float]:
    """Do about n operations and say what they cost."""
    before, cpu, began = resource.getrusage(resource.RUSAGE_SELF), time.process_time(), time.perf_counter()
    measured.clear()
    done = perform(n)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    if measured:
        cpu, seconds = measured[-1]
    after = resource.getrusage(resource.RUSAGE_SELF)
    latencies = sorted(done) if isinstance(done, list) else []
    operations = len(latencies) if isinstance(done, list) else done
    sample = {
        "operations": operations,
        "seconds": seconds,
        "rate": operations / seconds,
        "cpu": cpu / operations,
        "user": (after.ru_utime - before.ru_utime) / operations,
        "system": (after.ru_stime - before.ru_stime) / operations,
        "busy": cpu / seconds,
    }
    if latencies:
        sample["p50"] = latencies[len(latencies) // 2]
        sample["p99"] = latencies[len(latencies) * 99 // 100]
    return sample


def calibrate(perform: Callable[[int], int | list[float]], seconds: float, warmup: float) -> int:
    """About how many operations fill so many seconds. What it runs to find out is the warm-up, too.

    *warmup* are the seconds of processor time that it takes at least.
    """
    n, warm = 1, time.process_time() + warmup
    while True:
        began = time.perf_counter()
        sample = measure(perform, n)
        # What it takes to prepare counts as well here: a million timers are not set four times to find out.
        if time.perf_counter() - began < seconds / 10:
            n *= 4
        elif time.process_time() >= warm:
            return max(1, int(sample["rate"] * seconds))


def arguments() -> argparse.ArgumentParser:
    """What every program that measures itself is told."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--warmup", type=float, default=0.0, help="seconds of processor time before")
    parser.add_argument("--limit", type=int, default=0, help="so many operations, and no calibration")
    parser.add_argument("--hold", action="store_true", help="say when ready, and wait for a line")
    return parser


def leave() -> NoReturn:
    """End the process at once: what is connected is not taken down, for nobody measures that."""
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    global many
    parser = argparse.ArgumentParser(parents=[arguments()])
    parser.add_argument("--scenario", choices=SCENARIOS, required=True)
    parser.add_argument("--many", type=int, default=1000, help="timers or tasks in the scenarios of many")
    options = parser.parse_args()
    many = options.many
    function = SCENARIOS[options.scenario]
    if inspect.iscoroutinefunction(function):
        with asyncio.Runner() as runner:
            report(lambda n: runner.run(function(n)), options)
    else:
        report(function, options)


def report(perform: Callable[[int], int | list[float]], options: argparse.Namespace) -> None:
    if options.limit:
        perform(10)
        n = options.limit
    else:
        n = calibrate(perform, options.seconds, options.warmup)
    if options.hold:
        print(json.dumps({"ready": True}), flush=True)
        sys.stdin.readline()
    print(json.dumps(measure(perform, n)), flush=True)


if __name__ == "__main__":
    main()
