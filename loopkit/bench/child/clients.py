"""Other people's clients, each against a server that is not under test; the process measures itself, as
`inside.py` does.

Each scenario is an async function that does about `n` operations on 16 connections and returns how many it
did. What it connects it keeps: the loop is the same from the first call to the last.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopkit.bench.child import inside
else:
    import inside  # it lies beside this script

CONNECTIONS = 16
HELLO = b"Hello, world"
MESSAGE = bytes(range(256))
PIPELINE = 10

#: Host and port of the server.
peer = ("127.0.0.1", 0)
#: What was connected, by scenario.
kept: dict[str, Any] = {}


def check(answer: object, expected: object) -> None:
    if answer != expected:
        raise RuntimeError(f"a wrong answer: {str(answer)[:60]} instead of {str(expected)[:60]}")


async def share(n: int, perform: Callable[[int, int], Awaitable[None]]) -> int:
    """Divide n operations among the connections: `perform(connection, operations)` for each."""
    each = max(1, n // CONNECTIONS)
    async with asyncio.TaskGroup() as group:
        for number in range(CONNECTIONS):
            group.create_task(perform(number, each))  # type: ignore[arg-type]
    return each * CONNECTIONS


async def aiohttp_client(n: int) -> int:
    import aiohttp

    if not kept:
        kept["session"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS))
    session, url = kept["session"], "http://{}:{}/".format(*peer)

    async def get(number: int, times: int) -> None:
        for _ in range(times):
            async with session.get(url) as response:
                check(await response.read(), HELLO)

    return await share(n, get)


async def websockets_client(n: int) -> int:
    from websockets.asyncio.client import connect

    if not kept:
        url = "ws://{}:{}/".format(*peer)
        kept["connections"] = [await connect(url, compression=None) for _ in range(CONNECTIONS)]

    async def echo(number: int, times: int) -> None:
        connection = kept["connections"][number]
        for _ in range(times):
            await connection.send(MESSAGE)
            check(await connection.recv(), MESSAGE)

    return await share(n, echo)


async def redis(n: int) -> int:
    from redis.asyncio import Redis

    if not kept:
        kept["clients"] = [Redis(host=peer[0], port=peer[1]) for _ in range(CONNECTIONS)]

    async def pipelines(number: int, times: int) -> None:
        client = kept["clients"][number]
        expected = [True, b"%d" % number] * (PIPELINE // 2)
        for _ in range(times):
            pipeline = client.pipeline(transaction=False)
            for _ in range(PIPELINE // 2):
                pipeline.set(f"bench:{number}", number)
                pipeline.get(f"bench:{number}")
            check(await pipeline.execute(), expected)

    return await share(n, pipelines)


async def asyncpg(n: int) -> int:
    import asyncpg

    if not kept:
        kept["connections"] = [
            await asyncpg.connect(host=peer[0], port=peer[1], user="bench", database="postgres")
            for _ in range(CONNECTIONS)
        ]

    async def select(number: int, times: int) -> None:
        connection = kept["connections"][number]
        for _ in range(times):
            check(await connection.fetchval("select 1"), 1)

    return await share(n, select)


async def psycopg(n: int) -> int:
    import psycopg

    if not kept:
        where = "host={} port={} user=bench dbname=postgres".format(*peer)
        kept["connections"] = [
            await psycopg.AsyncConnection.connect(where, autocommit=True) for _ in range(CONNECTIONS)
        ]

    async def select(number: int, times: int) -> None:
        connection = kept["connections"][number]
        for _ in range(times):
            cursor = await connection.execute("select 1")
            check(await cursor.fetchone(), (1,))

    return await share(n, select)


SCENARIOS: dict[str, Callable[[int], Any]] = {
    "aiohttp-client": aiohttp_client,
    "websockets-client": websockets_client,
    "redis": redis,
    "asyncpg": asyncpg,
    "psycopg": psycopg,
}


def main() -> None:
    global peer
    parser = argparse.ArgumentParser(parents=[inside.arguments()])
    parser.add_argument("--scenario", choices=SCENARIOS, required=True)
    parser.add_argument("--peer", required=True)
    options = parser.parse_args()
    host, _, port = options.peer.rpartition(":")
    peer = (host, int(port))
    with asyncio.Runner() as runner:
        # Connects: that is not what is measured.
        runner.run(SCENARIOS[options.scenario](CONNECTIONS))
        inside.report(lambda n: runner.run(SCENARIOS[options.scenario](n)), options)
        # The servers outlive us; what is still connected goes with the process.
        inside.leave()


if __name__ == "__main__":
    main()
