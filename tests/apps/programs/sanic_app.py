"""Sanic: its workers are spawned and import this file, so that what stands at its top is done in them.

The process that manages them waits for ever if Ctrl-C reaches it between a worker's "Worker ready" and its
own next look at the worker, up to 0.1 s later. So it is asked for something that it answers after that look
only: to have one worker, which it has.
"""

import os
import sys

from proof import loop_name
from sanic import Sanic, response

import loopkit

loopkit.install()
app = Sanic("sanic_app")
app.config.USE_UVLOOP = False
single = "single" in sys.argv


@app.get("/")
async def about(request):
    return response.json({"loop": loop_name(), "pid": os.getpid()})


@app.post("/echo", stream=True)
async def echo(request):
    answer = await request.respond()
    async for part in request.stream:
        await answer.send(part)
    await answer.eof()


@app.after_server_start
async def started(app):
    print("started, loop:", loop_name(), flush=True)
    if not single:
        app.m.scale(1)


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), single_process=single, workers=1, motd=False, access_log=False)
