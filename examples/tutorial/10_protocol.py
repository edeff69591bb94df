"""Chapter 10, second half: callbacks again, on a transport that keeps the outbox for us.

The server sends back what a client writes, in upper case, and sends home who is silent.

    IDLE=60 python 10_protocol.py server 9898
    python 10_protocol.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import asyncio
import os

from common import Decoder, main

import loopkit

IDLE = float(os.environ.get("IDLE", "60"))  # seconds of silence, then a client is sent home


class Talk(asyncio.Protocol):
    """One client. The methods are what the loop calls; their names are asyncio's."""

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

    def pause_writing(self):  # the transport holds 64 KiB that this client has not taken:
        self.transport.pause_reading()  # do not answer more, by not reading more

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
        self.transport.abort()  # not close(): that would first wait for the outbox to empty


async def welcome(listener):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Talk, sock=listener, backlog=1024)
    try:
        await asyncio.Event().wait()  # for ever: until Ctrl-C cancels it
    finally:
        server.close()
        for client in Talk.here:
            client.transport.abort()


def serve(listener):
    with asyncio.Runner(loop_factory=loopkit.Loop) as runner:
        runner.run(welcome(listener))


if __name__ == "__main__":
    main(__doc__, serve)
