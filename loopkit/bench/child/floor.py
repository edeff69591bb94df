"""The floor: echo on a bare `select.epoll`, with no event loop and no feature at all.

What this costs is the kernel and the least Python there can be. No loop written in Python gets below it.
"""

import argparse
import select
import socket


def serve_tcp() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    print("listening on {}:{} (floor)".format(*listener.getsockname()), flush=True)
    accepting = listener.fileno()
    clients: dict[int, socket.socket] = {}
    while True:
        for fd, _ in epoll.poll():
            if fd == accepting:
                client, _ = listener.accept()
                client.setblocking(False)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[client.fileno()] = client
                epoll.register(client, select.EPOLLIN)
                continue
            client = clients[fd]
            data = client.recv(65536)
            if data:
                sent = client.send(data)
                if sent < len(data):
                    # A real server would wait for EPOLLOUT; the load reads while it writes, so blocking is
                    # safe.
                    client.setblocking(True)
                    client.sendall(data[sent:])
                    client.setblocking(False)
            else:
                del clients[fd]
                client.close()


SERVERS = {"tcp": serve_tcp}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=SERVERS, required=True)
    SERVERS[parser.parse_args().mode]()
