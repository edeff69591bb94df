"""崩溃的客户端不会说再见：recv() 抛异常，永远读不到空。"""

import socket
import struct


def crash(sock):
    """用复位来关闭，就像程序带着没读的数据死掉时，内核所做的那样。"""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def serve(clients, read):
    """每个客户端照看一次；返回服务器对此说了什么。"""
    said = []
    try:
        for name, sock in clients:
            said.append(f"{name}: {read(sock)}")
    except OSError as error:
        said.append(f"the server ends with {type(error).__name__}")
    return "; ".join(said)


def careless(sock):
    return sock.recv(100).decode() or "left"


def careful(sock):
    try:
        return sock.recv(100).decode() or "left"
    except OSError as error:  # 不管这个客户端出了什么事，其他客户端都还在
        return f"was lost ({error.strerror})"


def two_clients(read):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        anna = socket.create_connection(listener.getsockname())
        annas_end, _ = listener.accept()
        with socket.create_connection(listener.getsockname()) as ben:
            bens_end, _ = listener.accept()
            crash(anna)
            ben.sendall(b"hello")
            with annas_end, bens_end:
                return serve([("anna", annas_end), ("ben", bens_end)], read)


def wrong():
    return two_clients(careless)


def right():
    return two_clients(careful)


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
