"""redis-py: pipelines, publish and subscribe, a blocking pop; over TCP, TLS and Unix sockets."""

import asyncio
import sys

import redis.asyncio as redis
from proof import loop_name


async def talk(client):
    await client.flushall()
    async with client.pipeline() as pipe:
        for number in range(100):
            pipe.set(f"key {number}", number)
        answers = await pipe.execute()
    values = await asyncio.gather(*(client.get(f"key {number}") for number in range(20)))
    print(sum(answers), sum(map(int, values)))

    await client.set("large", b"x" * 3_000_000)
    print(len(await client.get("large")))

    async with client.pubsub() as channel:
        await channel.subscribe("news")
        print((await channel.get_message(timeout=10))["type"])
        await client.publish("news", "nothing happened")
        print((await channel.get_message(timeout=10))["data"])

    popped = asyncio.create_task(client.blpop("list", timeout=10))
    await client.rpush("list", "item")
    print(*await popped)
    await client.aclose()


async def main(port, tls_port, path, authority):
    await talk(redis.Redis(port=int(port)))
    await talk(redis.Redis(port=int(tls_port), host="127.0.0.1", ssl=True, ssl_ca_certs=authority))
    await talk(redis.Redis(unix_socket_path=path))
    print("loop:", loop_name())


asyncio.run(main(*sys.argv[1:]))
