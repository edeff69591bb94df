"""不管监听套接字阻不阻塞，accept() 给出的套接字都是阻塞的。"""

import signal
import socket

PATIENCE = 1.0  # 秒；过了这么久，就算卡住了


def give_up(*_):
    raise TimeoutError


def wrong():
    def accept(listener):
        sock, _ = listener.accept()
        return sock  # 没人说过这一个不许阻塞

    return serve(accept)


def right():
    def accept(listener):
        sock, _ = listener.accept()
        sock.setblocking(False)
        return sock

    return serve(accept)


def serve(accept):
    """像本章的服务器那样，同时服务不说话的 anna 和说 hello 的 ben。"""
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
    """一圈一圈地看，直到有人说了话。"""
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
