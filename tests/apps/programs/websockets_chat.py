"""A chat of many people through one websockets server: everybody hears everything, in the same order."""

import asyncio

from proof import loop_name
from websockets.asyncio.client import connect
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosedOK

PEOPLE = 20
present = set()


async def enter(ws):
    present.add(ws)
    try:
        async for message in ws:
            broadcast(present, message)
    finally:
        present.discard(ws)


async def person(port, number, everybody_is_here):
    async with connect(f"ws://127.0.0.1:{port}") as ws:
        await everybody_is_here.wait()
        await ws.send(f"I am {number}" + "!" * number * 1000)
        return [await ws.recv() for _ in range(PEOPLE)]


async def main():
    async with serve(enter, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        everybody_is_here = asyncio.Barrier(PEOPLE)
        heard = await asyncio.gather(*(person(port, n, everybody_is_here) for n in range(PEOPLE)))
        print("heard:", len(heard[0]), "all the same:", all(words == heard[0] for words in heard))

        late = await connect(f"ws://127.0.0.1:{port}")
        pong = await late.ping()
        print("pong:", await pong >= 0)
        server.close()
        try:
            await late.recv()
        except ConnectionClosedOK as closed:
            print("server closes:", closed.rcvd.code)
    print("loop:", loop_name())


asyncio.run(main())
