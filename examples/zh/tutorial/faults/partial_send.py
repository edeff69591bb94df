"""内核放得下多少，send() 就拿走多少，并说出是多少。"""

import socket

MESSAGE = b"x" * 10_000_000


def deliver(send_all_of_it):
    """MESSAGE 有多少字节到了另一头。"""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    arrived = 0

    def drain():
        nonlocal arrived
        try:
            while data := theirs.recv(65536):
                arrived += len(data)
        except BlockingIOError:
            pass

    send_all_of_it(ours, drain)
    drain()
    ours.close()
    theirs.close()
    return f"{arrived} of {len(MESSAGE)} bytes arrived"


def wrong():
    def careless(sock, other_end_reads):
        sock.send(MESSAGE)  # 返回值是拿走了多少，没有人看

    return deliver(careless)


def right():
    def careful(sock, other_end_reads):
        rest = memoryview(MESSAGE)  # 对 bytes 切片，每次都会把剩下的全复制一遍
        while rest:
            try:
                rest = rest[sock.send(rest) :]
            except BlockingIOError:
                other_end_reads()  # 服务器在这里会等 EPOLLOUT，同时服务别人

    return deliver(careful)


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
