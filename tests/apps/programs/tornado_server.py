"""tornado: its server, its client, its WebSocket, a callback now and then, all on the running loop."""

import asyncio

import tornado.httpclient
import tornado.httpserver
import tornado.ioloop
import tornado.netutil
import tornado.web
import tornado.websocket
from proof import loop_name

import loopkit


class About(tornado.web.RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        self.write({"loop": loop_name()})

    async def post(self):
        self.write(self.request.body)


class Chat(tornado.websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message.upper())


async def main():
    print(
        "wraps the running loop:", tornado.ioloop.IOLoop.current().asyncio_loop is asyncio.get_running_loop()
    )
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", About), ("/chat", Chat)]))
    server.add_sockets(sockets)
    port = sockets[0].getsockname()[1]

    client = tornado.httpclient.AsyncHTTPClient()
    answers = await asyncio.gather(*(client.fetch(f"http://127.0.0.1:{port}/") for _ in range(20)))
    print({answer.body.decode() for answer in answers})
    body = b"x" * 1_000_000
    answer = await client.fetch(f"http://127.0.0.1:{port}/", method="POST", body=body)
    print("echoed:", answer.body == body)
    ws = await tornado.websocket.websocket_connect(f"ws://127.0.0.1:{port}/chat")
    await ws.write_message("hello")
    print(await ws.read_message())
    ws.close()

    ticks = asyncio.Queue()
    ticking = tornado.ioloop.PeriodicCallback(lambda: ticks.put_nowait("tick"), 1)
    ticking.start()
    print(await ticks.get(), await ticks.get())
    ticking.stop()
    print(await tornado.ioloop.IOLoop.current().run_in_executor(None, sum, range(10)))
    server.stop()
    await server.close_all_connections()
    print("loop:", loop_name())


loopkit.run(main())
