"""anyio, told in code: task groups, cancel scopes, threads, processes, sockets and signals of its own."""

import signal
import sys

import anyio
from proof import loop_name

import loopkit


async def echo(stream):
    async with stream:
        async for data in stream:
            await stream.send(data)


async def main():
    async with anyio.create_task_group() as group:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        group.start_soon(listener.serve, echo)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"over tcp")
            print(await stream.receive())
        async with await anyio.create_udp_socket(local_host="127.0.0.1") as udp:
            here = udp.extra(anyio.abc.SocketAttribute.local_address)
            await udp.sendto(b"over udp", *here)
            print((await udp.receive())[0])
        print(await anyio.to_thread.run_sync(anyio.from_thread.run, anyio.sleep, 0))
        result = await anyio.run_process([sys.executable, "-c", "print(input())"], input=b"through a process")
        print(result.stdout)
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            signal.raise_signal(signal.SIGUSR1)
            async for number in signals:
                print(number.name)
                break
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        print("moved on:", scope.cancelled_caught)
        group.cancel_scope.cancel()
    print("loop:", loop_name())


anyio.run(main, backend_options={"loop_factory": loopkit.Loop})
