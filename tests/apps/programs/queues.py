"""Workers share the jobs of a queue; each job takes its time."""

import asyncio

from proof import loop_name


async def worker(queue, done):
    while True:
        job = await queue.get()
        await asyncio.sleep(0.001 * (job % 5))
        done.append(job)
        queue.task_done()


async def main():
    queue, done = asyncio.Queue(), []
    for job in range(50):
        queue.put_nowait(job)
    workers = [asyncio.create_task(worker(queue, done)) for _ in range(4)]
    await queue.join()
    for task in workers:
        task.cancel()
    ends = await asyncio.gather(*workers, return_exceptions=True)
    print(sorted(done) == list(range(50)), [type(end).__name__ for end in ends])
    print("loop:", loop_name())


asyncio.run(main())
