"""A pool of connections with a hole, and its test: see chapter 13 of the tutorial."""

import asyncio

import pytest


class Pool:
    def __init__(self, connections):
        self.free = list(connections)

    async def checkout(self):
        connection = self.free[0]
        await asyncio.sleep(0.0003)  # stands for "SELECT 1": is it alive?
        if connection in self.free:
            self.free.remove(connection)
        return connection


class MendedPool(Pool):
    async def checkout(self):
        connection = self.free.pop(0)
        await asyncio.sleep(0.0003)
        return connection


async def two_requests(pool):
    used = []

    async def request(delay):
        await asyncio.sleep(delay)
        connection = await pool.checkout()
        assert connection not in used
        used.append(connection)
        await asyncio.sleep(0.001)
        used.remove(connection)
        pool.free.append(connection)

    await asyncio.gather(request(0.001), request(0.0015))


@pytest.mark.loopkit(seeds=100)
async def test_nobody_shares_a_connection():
    await two_requests(Pool(["a", "b"]))


@pytest.mark.loopkit(seeds=100)
async def test_nobody_shares_a_connection_of_the_mended_pool():
    await two_requests(MendedPool(["a", "b"]))
