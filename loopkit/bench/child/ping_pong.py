"""The smallest turn with an event in it: a byte is read from one socket, and the next put into its peer.

Nothing sleeps, nobody else takes part: what is added to a turn weighs most here.
"""

import argparse
import asyncio
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopkit.bench.child import inside
else:
    import inside  # it lies beside this script


async def ping_pong(n: int) -> int:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        left = n

        def on_readable() -> None:
            nonlocal left
            here.recv(1)
            left -= 1
            if left:
                there.send(b"x")
            else:
                done.set_result(None)

        loop.add_reader(here, on_readable)
        there.send(b"x")
        await done
        loop.remove_reader(here)
    return n


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        options = argparse.ArgumentParser(parents=[inside.arguments()]).parse_args()
        inside.report(lambda n: runner.run(ping_pong(n)), options)
