"""asyncpg: a pool, transactions, COPY, notifications, a query given up; over TCP, TLS and Unix sockets."""

import asyncio
import io
import ssl
import sys

import asyncpg
from proof import loop_name


async def talk(**address):
    async with asyncpg.create_pool(**address, min_size=5, max_size=5) as pool:
        print(sum(await asyncio.gather(*(pool.fetchval("select $1::int * 2", n) for n in range(100)))))
        async with pool.acquire() as connection:
            secure = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
            print("tls:", await connection.fetchval(secure))
            await connection.execute("create temporary table t (n int, word text)")
            rows = [(number, "x" * 100) for number in range(20_000)]
            await connection.copy_records_to_table("t", records=rows)
            out = io.BytesIO()
            await connection.copy_from_query("select * from t", output=out)
            print(len(out.getvalue()))
            try:
                async with connection.transaction():
                    await connection.execute("delete from t")
                    await connection.execute("select 1 / 0")
            except asyncpg.DivisionByZeroError as error:
                print(error)
            print(await connection.fetchval("select count(*) from t"))
            try:
                await connection.fetch("select pg_sleep(600)", timeout=0.1)
            except TimeoutError:
                print("given up; then", await connection.fetchval("select 'alive'"))
            heard = asyncio.get_running_loop().create_future()

            def listener(connection, pid, channel, payload):
                heard.set_result(payload)

            await connection.add_listener("news", listener)
            await pool.execute("notify news, 'hello'")
            print(await heard)
            await connection.remove_listener("news", listener)


async def main(port, folder, authority):
    who = {"user": "loopkit", "password": "secret", "database": "postgres", "port": int(port)}
    await talk(host="127.0.0.1", ssl=False, **who)
    await talk(host="127.0.0.1", ssl=ssl.create_default_context(cafile=authority), **who)
    await talk(host=folder, **who)
    print("loop:", loop_name())


asyncio.run(main(*sys.argv[1:]))
