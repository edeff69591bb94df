"""第 9 章：同样的服务器，用 asyncio 的任务和时限，跑在我们自己的循环上。

客户端写来什么，服务器就变成大写送回去；一声不吭的请走。

    IDLE=60 python 09_hundred_lines.py server 9898
    python 09_hundred_lines.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

import asyncio
import os

from common import Decoder, main
from hundred_lines import Loop

IDLE = float(os.environ.get("IDLE", "60"))  # 沉默这么多秒，就请客户端走


async def talk(sock, name):
    """响应一个客户端，直到它离开。没有别人要为此等待。"""
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
            # 能不等的话，这两个调用都没有等：现在该轮到别人了。
            await asyncio.sleep(0)
    except TimeoutError:
        print(name, "was silent for too long", flush=True)
    except OSError as error:  # 复位、连不上
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)
    finally:
        sock.close()


async def welcome(listener):
    loop = asyncio.get_running_loop()
    tasks = set()  # asyncio 自己不保留对任务的引用：谁启动，谁保留
    while True:
        try:
            sock, address = await loop.sock_accept(listener)
        except OSError as error:  # 没有描述符了
            print("nobody is let in for a second:", error, flush=True)
            await asyncio.sleep(1)
            continue
        task = asyncio.create_task(talk(sock, "{}:{}".format(*address)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def serve(listener):
    listener.setblocking(False)
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(welcome(listener))


if __name__ == "__main__":
    main(__doc__, serve)
