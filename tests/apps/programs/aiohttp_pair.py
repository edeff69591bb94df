"""aiohttp's server and client in one loop, over HTTP and HTTPS: many requests at once, uploads, WebSocket."""

import asyncio
import os
import ssl
import sys

import aiohttp
from aiohttp import web
from proof import loop_name

BODY = os.urandom(2_000_000)


async def echo(request):
    return web.Response(body=await request.read())


async def chat(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data[::-1])
    return ws


async def talk(session, url):
    async def one(number):
        body = BODY[: number * 50_000]
        async with session.post(f"{url}/echo", data=body) as response:
            return response.status == 200 and await response.read() == body

    print("echoed:", sum(await asyncio.gather(*(one(number) for number in range(40)))))
    async with session.ws_connect(f"{url}/chat") as ws:
        await ws.send_str("loopkit")
        print("chat:", await ws.receive_str())


async def main(authority, chain, key):
    app = web.Application(client_max_size=10_000_000)
    app.add_routes([web.post("/echo", echo), web.get("/chat", chat)])
    runner = web.AppRunner(app)
    await runner.setup()
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(chain, key)
    client_tls = ssl.create_default_context(cafile=authority)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls).start()
    plain, secure = runner.addresses
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_tls)) as session:
        await talk(session, f"http://127.0.0.1:{plain[1]}")
        await talk(session, f"https://127.0.0.1:{secure[1]}")
    await runner.cleanup()
    print("loop:", loop_name())


asyncio.run(main(*sys.argv[1:]))
