"""select 服务器，改好的。剩下的是模型本身的上限：大于 1023 的描述符。

python select_repaired.py             port 9898
python select_repaired.py PORT
"""

import select
import socket
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 9898


def serve(server):
    inputs = [server]
    outputs = []
    messages = {}  # 还欠每个客户端的：只是字节，因为在 TCP 里消息没有边界

    def drop(sock):
        for interest in (inputs, outputs):
            if sock in interest:
                interest.remove(sock)
        del messages[sock]
        sock.close()

    while True:
        readable, writable, _ = select.select(inputs, outputs, [])
        for sock in readable:
            if sock is server:
                client, _ = sock.accept()
                if client.fileno() > 1023:  # 不然 select() 会抛异常，所有人都断线
                    client.close()
                    continue
                client.setblocking(False)  # 在 Linux 上，它不会从监听套接字继承
                inputs.append(client)
                messages[client] = b""
                continue
            try:
                data = sock.recv(65536)
            except BlockingIOError:
                continue
            except OSError:  # 丢掉这个客户端，其他客户端照常
                drop(sock)
                continue
            if data:
                messages[sock] = data
                # 它取走这个回答之前，不再读它：这就是背压。
                inputs.remove(sock)
                outputs.append(sock)
            else:
                drop(sock)
        for sock in writable:
            if sock not in messages:  # 刚才在上面的循环里关掉了
                continue
            try:
                sent = sock.send(messages[sock])  # 放得下多少就拿走多少，并说出是多少
            except BlockingIOError:
                continue
            except OSError:
                drop(sock)
                continue
            messages[sock] = messages[sock][sent:]
            if not messages[sock]:
                outputs.remove(sock)
                inputs.append(sock)


if __name__ == "__main__":
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", PORT))
        server.listen(1024)
        server.setblocking(False)
        print("listening on port", server.getsockname()[1])
        try:
            serve(server)
        except KeyboardInterrupt:
            print("stopped")
