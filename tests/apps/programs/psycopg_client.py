"""psycopg: libpq does the talking, the loop watches its descriptor (`add_reader`, `add_writer`)."""

import asyncio
import sys

import psycopg
from proof import loop_name


async def one(address, number):
    async with await psycopg.AsyncConnection.connect(address) as connection:
        cursor = await connection.execute("select %s::int * 2", (number,))
        return (await cursor.fetchone())[0]


async def talk(address):
    print(sum(await asyncio.gather(*(one(address, number) for number in range(10)))))
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
        print("tls:", connection.pgconn.ssl_in_use)
        async with connection.cursor() as cursor:
            await cursor.execute("create temporary table t (n int, word text)")
            async with cursor.copy("copy t from stdin") as copy:
                for number in range(20_000):
                    await copy.write_row((number, "x" * 100))
            print([row async for row in await cursor.execute("select count(*) from t")])
        async with connection.pipeline():
            cursors = [await connection.execute("select %s::int", (number,)) for number in range(50)]
            print(sum([(await cursor.fetchone())[0] for cursor in cursors]))
        waiting = asyncio.create_task(connection.execute("select pg_sleep(600)"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        try:
            await waiting
        except (asyncio.CancelledError, psycopg.errors.QueryCanceled):
            print("given up; then", await (await connection.execute("select 'alive'")).fetchone())
        await connection.execute("listen news")
        await one_notification(address, connection)


async def one_notification(address, connection):
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as other:
        await other.execute("notify news, 'hello'")
    async for notification in connection.notifies(timeout=10):
        print(notification.payload)
        break


async def main(port, folder, authority):
    who = f"user=loopkit password=secret dbname=postgres port={port}"
    await talk(f"{who} host=127.0.0.1 sslmode=disable")
    await talk(f"{who} host=127.0.0.1 sslmode=verify-full sslrootcert={authority}")
    await talk(f"{who} host={folder}")
    print("loop:", loop_name())


asyncio.run(main(*sys.argv[1:]))
