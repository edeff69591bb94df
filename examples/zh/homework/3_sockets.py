"""作业，答案之三：阻塞的写法，跑在 loopkit 上，用 loopkit.sockets。

服务器：客户端写来什么，就变成大写送回去，一个线程同时服务许多客户端；客户端：同时等键盘和服
务器。

    IDLE=60 python 3_sockets.py server 9898
    python 3_sockets.py client 127.0.0.1 9898        (or: nc, or telnet, 127.0.0.1 9898)
"""

import asyncio
import codecs
import os
import sys

import loopkit
from loopkit import sockets as socket  # 名字跟 socket 模块的一样

IDLE = float(os.environ.get("IDLE", "60"))  # 沉默这么多秒，就请客户端走


# 服务器：读起来就像第 1 章。


async def talk(sock, name):
    print(name, "came", flush=True)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    try:
        with sock:
            while True:
                async with asyncio.timeout(IDLE):
                    data = await sock.recv(65536)
                    if not data:
                        break
                    await sock.sendall(decoder.decode(data).upper().encode())
    except TimeoutError:
        print(name, "was silent for too long", flush=True)
    except OSError as error:
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)


async def server(port):
    with socket.create_server(("127.0.0.1", port), backlog=1024) as door:
        print("listening on port", door.getsockname()[1], flush=True)
        async with asyncio.TaskGroup() as tasks:  # 保留对它们的引用，自己结束时把它们也结束
            while True:
                try:
                    sock, address = await door.accept()
                except OSError as error:  # 没有描述符了：不然 accept() 会没完没了地报告
                    print("nobody is let in for a second:", error, flush=True)
                    await asyncio.sleep(1)
                    continue
                tasks.create_task(talk(sock, "{}:{}".format(*address)))


# 客户端：两个任务，所以等键盘的时候也听得到服务器。


async def typed():
    """键盘上打了什么，一有就返回；b"" 表示输入结束。"""
    loop = asyncio.get_running_loop()
    something = loop.create_future()
    try:
        loop.add_reader(sys.stdin, lambda: something.done() or something.set_result(None))
    except PermissionError:  # epoll 不收普通文件（client < file）：它们从不阻塞
        return os.read(sys.stdin.fileno(), 65536)
    try:
        await something
    finally:
        loop.remove_reader(sys.stdin)
    return os.read(sys.stdin.fileno(), 65536)


async def keyboard(sock):
    try:
        while words := await typed():
            await sock.sendall(words)
        sock.shutdown(socket.SHUT_WR)  # 该说的都说完了；最后的回答可能还在路上
    except OSError:  # 服务器走了：正在听的那个任务也会知道，由它来结束客户端
        pass


async def client(host, port):
    with await socket.create_connection((host, port)) as sock:
        speaking = asyncio.create_task(keyboard(sock))
        while answer := await sock.recv(65536):
            sys.stdout.buffer.write(answer)  # 从头到尾都是字节：没有什么要解码
            sys.stdout.buffer.flush()
        speaking.cancel()  # 服务器走了：没有人可以说话了


def main():
    match sys.argv[1:]:
        case ["server", port] if port.isdecimal():
            loopkit.run(server(int(port)))
        case ["client", host, port] if port.isdecimal():
            loopkit.run(client(host, int(port)))
        case _:
            print(__doc__, file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped")
    except (OSError, OverflowError) as error:  # OverflowError：没有这样的端口号
        sys.exit(f"sorry: {error}")
