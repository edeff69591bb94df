"""The same aiohttp server, told in code."""

from aiohttp import web
from aiohttp_server import about

import loopkit

app = web.Application()
app.add_routes([web.get("/", about)])
web.run_app(app, host="127.0.0.1", port=0, loop=loopkit.Loop())
