"""Dask as a script uses it: workers in processes of their own; the client's and scheduler's loop in a thread.

The workers are spawned, and so import this module: that is how they come to call `install()`.
"""

import asyncio

from dask.distributed import Client, LocalCluster
from proof import loop_name

import loopkit

loopkit.install()


def square(number):
    return number * number


async def which():
    return loop_name()


if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            print("sum:", client.submit(sum, client.map(square, range(100))).result())
            running = asyncio.run_coroutine_threadsafe(which(), client.loop.asyncio_loop)
            print("loop:", running.result())
            print("workers:", sorted(client.run(which).values()))
