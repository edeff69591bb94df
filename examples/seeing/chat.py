"""A chat over websockets that takes all of a processor with nobody in it. The fault: waiting by looking."""

import asyncio

from websockets.asyncio.server import broadcast, serve

people = set()
said = []


async def talk(connection):
    people.add(connection)
    try:
        async for text in connection:
            said.append(text)  # noqa: PERF401
    finally:
        people.discard(connection)


async def main():
    async with serve(talk, "127.0.0.1", 8765):
        print("chat at ws://127.0.0.1:8765", flush=True)
        while True:
            while said:
                broadcast(people, said.pop(0))
            await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main())
