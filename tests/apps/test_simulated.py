"""Libraries as they are, client and server in one simulated world, TLS too: no port here is used."""

import asyncio
import contextlib

import pytest

from loopkit.testing import run
from tests.support.tls import NAME, client_context, server_context

SEEDS = [None, 0, 1, 2]


@pytest.fixture(params=SEEDS)
def seed(request):
    return request.param


@pytest.fixture
def simulated(seed):
    return lambda main: run(main, seed=seed)


@pytest.mark.parametrize("tls", [False, True])
def test_aiohttp_talks_to_itself(simulated, tls):
    aiohttp = pytest.importorskip("aiohttp")
    from aiohttp import web

    async def main():
        async def hello(request):
            await asyncio.sleep(3600)
            return web.json_response({"name": request.match_info["name"]})

        app = web.Application()
        app.add_routes([web.get("/{name}", hello)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 8080, ssl_context=server_context() if tls else None)
        await site.start()
        timeout = aiohttp.ClientTimeout(total=7200)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            options = {"ssl": client_context(), "server_hostname": NAME} if tls else {}
            scheme = "https" if tls else "http"
            async with session.get(f"{scheme}://127.0.0.1:8080/you", **options) as response:
                assert await response.json() == {"name": "you"}
        await runner.cleanup()

    simulated(main)


def test_httpx_talks_to_uvicorn_and_starlette(simulated):
    httpx = pytest.importorskip("httpx")
    uvicorn = pytest.importorskip("uvicorn")
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def main():
        async def hello(request):
            return PlainTextResponse("hello")

        app = Starlette(routes=[Route("/", hello)])
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=8000, log_level="error"))
        task = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.1)
        async with httpx.AsyncClient() as client:
            assert (await client.get("http://127.0.0.1:8000/")).text == "hello"
        server.should_exit = True
        await task

    simulated(main)


@pytest.mark.parametrize("tls", [False, True])
def test_websockets_talk(simulated, tls):
    server_module = pytest.importorskip("websockets.asyncio.server")
    from websockets.asyncio.client import connect

    async def main():
        async def echo(socket):
            async for message in socket:
                await socket.send(message.upper())

        context = server_context() if tls else None
        async with server_module.serve(echo, "127.0.0.1", 8765, ssl=context):
            options = {"ssl": client_context(), "server_hostname": NAME} if tls else {}
            address = f"{'wss' if tls else 'ws'}://127.0.0.1:8765"
            async with connect(address, proxy=None, **options) as socket:
                for word in ("one", "two"):
                    await socket.send(word)
                    assert await socket.recv() == word.upper()

    simulated(main)


async def tiny_redis(reader, writer):
    """Enough of a Redis for SET and GET."""
    data = {}
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            count = int((await reader.readuntil(b"\r\n"))[1:])
            words = []
            for _ in range(count):
                size = int((await reader.readuntil(b"\r\n"))[1:])
                words.append((await reader.readexactly(size + 2))[:-2])
            command = words[0].upper()
            if command == b"SET":
                data[words[1]] = words[2]
                writer.write(b"+OK\r\n")
            elif command == b"GET":
                value = data.get(words[1])
                writer.write(b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value))
            else:
                writer.write(b"+OK\r\n")
    writer.close()


def test_redis_talks_to_a_small_server(simulated):
    redis = pytest.importorskip("redis.asyncio")

    async def main():
        server = await asyncio.start_server(tiny_redis, "127.0.0.1", 6379)
        client = redis.Redis(host="127.0.0.1", port=6379, protocol=2)
        await client.set("key", "value")
        assert await client.get("key") == b"value"
        assert await client.get("other") is None
        await client.aclose()
        server.close()

    simulated(main)


def test_asyncpg_shakes_hands(simulated):
    asyncpg = pytest.importorskip("asyncpg")

    async def postgres(reader, writer):
        size = int.from_bytes(await reader.readexactly(4))
        assert b"user" in await reader.readexactly(size - 4)
        ok = b"R" + (8).to_bytes(4) + (0).to_bytes(4)
        parameters = b""
        for name, value in ((b"server_version", b"16.0"), (b"client_encoding", b"UTF8")):
            text = name + b"\0" + value + b"\0"
            parameters += b"S" + (len(text) + 4).to_bytes(4) + text
        key = b"K" + (12).to_bytes(4) + bytes(8)
        writer.write(ok + parameters + key + b"Z" + (5).to_bytes(4) + b"I")
        await reader.read()
        writer.close()

    async def main():
        server = await asyncio.start_server(postgres, "127.0.0.1", 5432)
        connection = await asyncpg.connect(
            host="127.0.0.1", port=5432, user="me", database="db", ssl=False, statement_cache_size=0
        )
        assert connection.get_server_version().major == 16
        connection.terminate()
        server.close()

    simulated(main)


def test_anyio_makes_groups_streams_and_timeouts(simulated):
    anyio = pytest.importorskip("anyio")

    async def main():
        async def serve(stream):
            async with stream:
                async for data in stream:
                    await stream.send(data.upper())

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=7000)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, serve)
            async with await anyio.connect_tcp("127.0.0.1", 7000) as stream:
                await stream.send(b"hello")
                answer = b""
                while len(answer) < 5:
                    answer += await stream.receive()
                assert answer == b"HELLO"
            with anyio.move_on_after(5) as scope:
                await anyio.sleep(3600)
            assert scope.cancelled_caught
            group.cancel_scope.cancel()
        await listener.aclose()

    simulated(main)
