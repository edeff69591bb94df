"""An aiohttp server: pages, an upload, a WebSocket, a file; `run_app` finds its loop by itself.

With a certificate and a key as arguments it speaks TLS.
"""

import ssl
import sys

from aiohttp import web
from proof import loop_name


async def about(request):
    return web.json_response({"loop": loop_name(), "scheme": request.scheme})


async def echo(request):
    response = web.StreamResponse()
    await response.prepare(request)
    async for chunk in request.content.iter_any():
        await response.write(chunk)
    return response


async def file(request):
    return web.FileResponse(__file__)


async def chat(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data.upper())
    return ws


async def cleanup(app):
    print("cleaned up", flush=True)


def main(*keys):
    app = web.Application()
    app.add_routes(
        [web.get("/", about), web.post("/echo", echo), web.get("/file", file), web.get("/chat", chat)]
    )
    app.on_cleanup.append(cleanup)
    tls = None
    if keys:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*keys)
    web.run_app(app, host="127.0.0.1", port=0, ssl_context=tls)


if __name__ == "__main__":
    main(*sys.argv[1:])
