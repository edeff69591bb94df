"""aiofastnet's transports on loopkit, of which they need only `add_reader` and its kin."""

import asyncio
import sys
import tempfile

import aiofastnet
from everything import do_everything
from proof import loop_name

import loopkit


async def main():
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    print(type(transport).__module__.partition(".")[0])
    transport.close()
    print(len(await do_everything(folder, *sys.argv[1:])))
    print("loop:", loop_name())


with tempfile.TemporaryDirectory() as folder:
    with asyncio.Runner(loop_factory=aiofastnet.loop_factory(loopkit.Loop)) as runner:
        runner.run(main())
