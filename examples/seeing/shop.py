"""An aiohttp shop that stands still now and then. The fault: a long computation in a handler."""

import hashlib

from aiohttp import web


async def login(request):
    key = hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 6_000_000)
    return web.Response(text=key.hex())


async def index(request):
    return web.Response(text="welcome")


if __name__ == "__main__":
    app = web.Application()
    app.add_routes([web.get("/", index), web.get("/login", login)])
    web.run_app(app, host="127.0.0.1", port=8080)
