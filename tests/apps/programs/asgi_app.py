"""A Starlette application that tells which loop serves it, and what becomes of its life."""

import asyncio
import contextlib
import os

from proof import loop_name
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute


@contextlib.asynccontextmanager
async def lifespan(app):
    print("lifespan: started, loop:", loop_name(), flush=True)
    yield
    print("lifespan: ended", flush=True)


async def about(request):
    return JSONResponse({"loop": loop_name(), "pid": os.getpid(), "scheme": request.url.scheme})


async def echo(request):
    return Response(await request.body())


async def slow(request):
    async def parts():
        yield b"first;"
        await asyncio.sleep(0.5)
        yield b"last"

    return StreamingResponse(parts())


async def chat(websocket):
    await websocket.accept()
    await websocket.send_text(loop_name())
    async for message in websocket.iter_bytes():
        await websocket.send_bytes(message)


app = Starlette(
    routes=[
        Route("/", about),
        Route("/echo", echo, methods=["POST"]),
        Route("/slow", slow),
        WebSocketRoute("/chat", chat),
    ],
    lifespan=lifespan,
)
