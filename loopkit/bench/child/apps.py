"""Other people's servers, each the smallest application it can have; each says where it listens.

The listening socket is made here: every server takes one, and so they all say alike where they listen.
"""

import argparse
import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
BACKLOG = 1024
HELLO = b"Hello, world"
PIECE = b"p" * 1024


def announce(listener: socket.socket) -> None:
    """Say that whoever connects now is served: all that takes long to import is there."""
    say("{}:{}".format(*listener.getsockname()))


def say(address: str) -> None:
    print("listening on", address, flush=True)


# --- ASGI applications ------------------------------------------------------------------------------------


async def hello(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(HELLO))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": HELLO})


async def chunks(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(3):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": PIECE})


def fastapi() -> Any:
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Item(BaseModel):
        name: str
        price: int
        tags: list[str]

    async def double(item: Item) -> dict[str, Any]:
        return {"name": item.name, "total": item.price * 2, "tags": item.tags}

    app = FastAPI()
    app.add_api_route("/", double, methods=["POST"])
    return app


# --- servers ----------------------------------------------------------------------------------------------


async def serve_uvicorn(listener: socket.socket, app: Any, certificate: str, http: str = "httptools") -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        http=http,  # type: ignore[arg-type, unused-ignore]
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        ssl_certfile=Path(certificate, "certificate.pem") if certificate else None,
        ssl_keyfile=Path(certificate, "key.pem") if certificate else None,
    )
    config.load()
    announce(listener)
    await uvicorn.Server(config).serve(sockets=[listener])


async def uvicorn_hello(listener: socket.socket, certificate: str) -> None:
    await serve_uvicorn(listener, hello, certificate)


async def uvicorn_chunked(listener: socket.socket, certificate: str) -> None:
    await serve_uvicorn(listener, chunks, certificate)


async def uvicorn_h11(listener: socket.socket, certificate: str) -> None:
    await serve_uvicorn(listener, hello, certificate, "h11")


async def uvicorn_fastapi(listener: socket.socket, certificate: str) -> None:
    await serve_uvicorn(listener, fastapi(), certificate)


async def hypercorn(listener: socket.socket, certificate: str) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.accesslog = config.errorlog = None
    # It is the only one that ends a connection after so many requests by default.
    config.h2_max_concurrent_streams = config.keep_alive_max_requests = 10**9
    announce(listener)
    await serve(hello, config, shutdown_trigger=asyncio.get_running_loop().create_future)  # type: ignore[arg-type, unused-ignore]


async def aiohttp(listener: socket.socket, certificate: str) -> None:
    from aiohttp import web

    async def answer(request: Any) -> Any:
        return web.Response(body=HELLO)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=BACKLOG).start()
    announce(listener)
    await asyncio.get_running_loop().create_future()


async def tornado(listener: socket.socket, certificate: str) -> None:
    from tornado.httpserver import HTTPServer
    from tornado.web import Application, RequestHandler

    def get(handler: Any) -> None:
        handler.finish(HELLO)

    handler = type("Hello", (RequestHandler,), {"get": get})
    app = Application([("/", handler)], log_function=lambda handler: None)
    HTTPServer(app).add_sockets([listener])
    announce(listener)
    await asyncio.get_running_loop().create_future()


async def websockets(listener: socket.socket, certificate: str) -> None:
    from websockets.asyncio.server import serve

    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, sock=listener, compression=None) as server:
        announce(listener)
        await server.serve_forever()


async def grpc() -> None:
    from grpc import aio, method_handlers_generic_handler, unary_unary_rpc_method_handler

    async def echo(request: bytes, context: Any) -> bytes:
        return request

    server = aio.server()
    handlers = {"echo": unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers([method_handlers_generic_handler("bench", handlers)])
    # gRPC reads and writes its sockets itself; the loop runs its coroutines.
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    say(f"{HOST}:{port}")
    await server.wait_for_termination()


SERVERS: dict[str, Callable[[socket.socket, str], Awaitable[None]]] = {
    "uvicorn": uvicorn_hello,
    "uvicorn-chunked": uvicorn_chunked,
    "uvicorn-h11": uvicorn_h11,
    "fastapi": uvicorn_fastapi,
    "hypercorn": hypercorn,
    "aiohttp": aiohttp,
    "tornado": tornado,
    "websockets": websockets,
}


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", choices=[*SERVERS, "grpc"], required=True)
    parser.add_argument("--certificate", default="")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    if options.app == "grpc":
        await grpc()
        return
    # The protocol is named: on what was accepted by another listener asyncio sets no TCP_NODELAY.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((HOST, 0))
        listener.listen(BACKLOG)
        listener.setblocking(False)
        await SERVERS[options.app](listener, options.certificate)


if __name__ == "__main__":
    asyncio.run(main())
