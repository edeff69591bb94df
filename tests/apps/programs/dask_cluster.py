"""Dask: a scheduler, two workers and a client, talking over TCP in this process's loop."""

import asyncio

from dask.distributed import Client, LocalCluster
from proof import loop_name

import loopkit


def square(number):
    return number * number


async def on_worker():
    return loop_name()


async def main():
    async with LocalCluster(
        asynchronous=True,
        processes=False,
        n_workers=2,
        threads_per_worker=1,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=None,
    ) as cluster:
        print("scheduler:", cluster.scheduler.loop.asyncio_loop is asyncio.get_running_loop())
        async with Client(cluster, asynchronous=True) as client:
            futures = client.map(square, range(100))
            print("sum:", await client.submit(sum, futures))
            print("workers:", sorted((await client.run(on_worker)).values()))
    print("loop:", loop_name())


loopkit.run(main())
