"""Threads and a loop: work given to threads, and work that threads give to the loop."""

import asyncio
import threading

from proof import loop_name


async def square(number):
    await asyncio.sleep(0)
    return number * number


def ask(loop, number, answers):
    answers[number] = asyncio.run_coroutine_threadsafe(square(number), loop).result(timeout=20)


async def main():
    loop = asyncio.get_running_loop()
    print("to_thread:", await asyncio.to_thread(sum, range(1000)))
    print("executor:", await asyncio.gather(*(loop.run_in_executor(None, pow, 2, n) for n in range(8))))

    answers = {}
    threads = [threading.Thread(target=ask, args=(loop, number, answers)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    print("run_coroutine_threadsafe:", dict(sorted(answers.items())))
    print("loop:", loop_name())


asyncio.run(main())
