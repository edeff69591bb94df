"""A websockets server that one of its own handlers closes, in the middle of ten conversations."""

import asyncio

from proof import loop_name
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

PEOPLE = 10


async def main():
    async def talk(ws):
        try:
            async for message in ws:
                if message == "stop":
                    server.close()
                await ws.send(message)
        finally:
            ended.append(ws)

    async def person(port, number):
        async with connect(f"ws://127.0.0.1:{port}") as ws:
            await ws.send("hello")
            heard = [await ws.recv()]
            present.release()
            if number == 0:
                for _ in range(PEOPLE):
                    await present.acquire()
                await ws.send("stop")
            try:
                while True:
                    heard.append(await ws.recv())
            except ConnectionClosed as closed:
                return *heard, closed.rcvd.code if closed.rcvd else closed

    ended, present = [], asyncio.Semaphore(0)
    server = await serve(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    people = asyncio.gather(*(person(port, number) for number in range(PEOPLE)))
    await server.wait_closed()
    print("handlers that have ended:", len(ended))
    heard = await people
    print("the one:", *[word for word in heard[0] if word != "stop"])
    print("the others:", set(heard[1:]))
    await asyncio.sleep(0)
    print("tasks left:", len(asyncio.all_tasks()) - 1)
    print("loop:", loop_name())


asyncio.run(main())
