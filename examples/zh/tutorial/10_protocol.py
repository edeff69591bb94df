"""第 10 章下半：又是回调，不过 outbox 由传输替我们保管。

客户端写来什么，服务器就变成大写送回去；一声不吭的请走。

    IDLE=60 python 10_protocol.py server 9898
    python 10_protocol.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import asyncio
import os

from common import Decoder, main

import loopkit

IDLE = float(os.environ.get("IDLE", "60"))  # 沉默这么多秒，就请客户端走


class Talk(asyncio.Protocol):
    """一个客户端。这些方法由循环来调用，名字是 asyncio 定的。"""

    here = set()

    def connection_made(self, transport):
        self.here.add(self)
        self.transport = transport
        self.name = "{}:{}".format(*transport.get_extra_info("peername"))
        self.decoder = Decoder(errors="replace")
        self.how = "left"
        self.restart_timer()
        print(self.name, "came", flush=True)

    def data_received(self, data):
        self.timer.cancel()
        self.restart_timer()
        self.transport.write(self.decoder.decode(data).upper().encode())

    def pause_writing(self):  # 传输里已经积压了 64 KiB，这个客户端都没有取走：
        self.transport.pause_reading()  # 不再读它，也就不再回答它

    def resume_writing(self):
        self.transport.resume_reading()

    def connection_lost(self, error):
        self.timer.cancel()
        self.here.remove(self)
        print(self.name, f"was lost: {error}" if error else self.how, flush=True)

    def restart_timer(self):
        self.timer = asyncio.get_running_loop().call_later(IDLE, self.on_silence)

    def on_silence(self):
        self.how = "was silent for too long"
        self.transport.abort()  # 不用 close()：它要先等 outbox 清空


async def welcome(listener):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Talk, sock=listener, backlog=1024)
    try:
        await asyncio.Event().wait()  # 永远：直到 Ctrl-C 取消它
    finally:
        server.close()
        for client in Talk.here:
            client.transport.abort()


def serve(listener):
    with asyncio.Runner(loop_factory=loopkit.Loop) as runner:
        runner.run(welcome(listener))


if __name__ == "__main__":
    main(__doc__, serve)
