"""Chapter 10: the same server on loopkit.

The server sends back what a client writes, in upper case, and sends home who is silent.

    IDLE=60 python 10_loopkit.py server 9898
    python 10_loopkit.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import asyncio
import os

from common import Decoder, main

import loopkit

IDLE = float(os.environ.get("IDLE", "60"))  # seconds of silence, then a client is sent home


async def talk(sock, name):
    """Answer one client until it leaves. Nobody else waits for that."""
    loop = asyncio.get_running_loop()
    print(name, "came", flush=True)
    decoder = Decoder(errors="replace")
    try:
        while True:
            async with asyncio.timeout(IDLE):
                data = await loop.sock_recv(sock, 65536)
                if not data:
                    break
                await loop.sock_sendall(sock, decoder.decode(data).upper().encode())
            # Neither call has waited if it did not have to: now it is the others' turn.
            await asyncio.sleep(0)
    except TimeoutError:
        print(name, "was silent for too long", flush=True)
    except OSError as error:  # reset, unreachable
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)
    finally:
        sock.close()


async def welcome(listener):
    loop = asyncio.get_running_loop()
    tasks = set()  # asyncio itself does not hold on to a task: whoever starts it must
    while True:
        try:
            sock, address = await loop.sock_accept(listener)
        except OSError as error:  # no descriptor left
            print("nobody is let in for a second:", error, flush=True)
            await asyncio.sleep(1)
            continue
        task = asyncio.create_task(talk(sock, "{}:{}".format(*address)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def serve(listener):
    listener.setblocking(False)
    with asyncio.Runner(loop_factory=loopkit.Loop) as runner:
        runner.run(welcome(listener))


if __name__ == "__main__":
    main(__doc__, serve)
