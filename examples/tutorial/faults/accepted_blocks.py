"""accept() gives a socket that blocks, whether the listener does or not."""

import signal
import socket

PATIENCE = 1.0  # seconds; then the server is stuck


def give_up(*_):
    raise TimeoutError


def wrong():
    def accept(listener):
        sock, _ = listener.accept()
        return sock  # nobody has said that this one must not block

    return serve(accept)


def right():
    def accept(listener):
        sock, _ = listener.accept()
        sock.setblocking(False)
        return sock

    return serve(accept)


def serve(accept):
    """Serve anna, who is silent, and ben, who says hello, as the server of this chapter does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = listener.getsockname()
        with socket.create_connection(address), socket.create_connection(address) as ben:
            ben.sendall(b"hello")
            socks = []
            while len(socks) < 2:
                try:
                    socks.append(accept(listener))
                except BlockingIOError:
                    pass
            told = f"the listener blocks: {listener.getblocking()}, the client: {socks[0].getblocking()}"
            return f"{told}; ben {hello(socks)}"


def hello(socks):
    """Walk round until somebody has said something."""
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        while True:
            for sock in socks:
                try:
                    sock.sendall(sock.recv(100))
                    return "is answered"
                except BlockingIOError:
                    pass
    except TimeoutError:
        return "waits until anna says something"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for sock in socks:
            sock.close()


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
