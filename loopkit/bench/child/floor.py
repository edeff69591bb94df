"""The floor: echo on a bare `select.epoll`, with no event loop and no feature at all.

What this costs is the kernel and the least Python there can be. No loop written in Python gets below it.
"""

import argparse
import select
import socket
import ssl
from pathlib import Path

HOST = "127.0.0.1"
BACKLOG = 1024


def announce(*address: object) -> None:
    print("listening on", ":".join(map(str, address)), flush=True)


def serve(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    listener.setblocking(False)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    accepting = listener.fileno()
    clients: dict[int, socket.socket] = {}
    while True:
        for fd, _ in epoll.poll():
            if fd == accepting:
                client = accept(listener, context)
                clients[client.fileno()] = client
                epoll.register(client, select.EPOLLIN)
                continue
            client = clients[fd]
            try:
                data = client.recv(65536)
            except ssl.SSLWantReadError:
                continue
            except OSError:
                data = b""
            if not data:
                del clients[fd]
                client.close()
            elif (sent := client.send(data)) < len(data):
                send_rest(client, data[sent:])


def accept(listener: socket.socket, context: ssl.SSLContext | None) -> socket.socket:
    client, _ = listener.accept()
    client.setblocking(False)
    if listener.family == socket.AF_INET:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return client
    # The handshake happens by itself, in the first calls of recv.
    return context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)


def send_rest(client: socket.socket, rest: bytes) -> None:
    # A real server would wait for EPOLLOUT. The load reads while it writes, so blocking ends.
    client.setblocking(True)
    client.sendall(rest)
    client.setblocking(False)


def serve_udp() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    sock.setblocking(False)
    announce(*sock.getsockname())
    epoll = select.epoll()
    epoll.register(sock, select.EPOLLIN)
    while True:
        epoll.poll()
        try:
            while True:
                sock.sendto(*sock.recvfrom(65536))
        except BlockingIOError:
            continue


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["tcp", "unix", "tls", "udp"], required=True)
    parser.add_argument("--scratch", required=True)
    options = parser.parse_args()
    if options.mode == "udp":
        serve_udp()
    context = None
    if options.mode == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Path(options.scratch, "certificate.pem"), Path(options.scratch, "key.pem"))
    if options.mode == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{options.scratch}/echo")
        listener.listen(BACKLOG)
        announce(listener.getsockname())
    else:
        listener = socket.create_server((HOST, 0), backlog=BACKLOG)
        announce(*listener.getsockname())
    serve(listener, context)


if __name__ == "__main__":
    main()
