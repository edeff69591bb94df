"""Quart, by its own server, on a loop that it is given."""

import sys

from proof import loop_name
from quart import Quart, request

import loopkit

app = Quart("quart_app")


@app.get("/")
async def about():
    return {"loop": loop_name()}


@app.post("/echo")
async def echo():
    return await request.get_data()


@app.websocket("/chat")
async def chat():
    from quart import websocket

    while True:
        await websocket.send(await websocket.receive())


if __name__ == "__main__":
    app.config["MAX_CONTENT_LENGTH"] = 2**24
    app.run("127.0.0.1", int(sys.argv[1]), loop=loopkit.Loop())
