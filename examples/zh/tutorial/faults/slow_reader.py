"""只写不读的客户端：谁的回答没有限度，谁就得替它把所有回答都存着。"""

import socket

ROUNDS = 2000
LINE = b"x" * 10_000


def feed(room_for_more):
    """让一个客户端写上这么久，一次也不读；服务器得存多少？"""
    ours, theirs = socket.socketpair()
    outbox = bytearray()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        for _ in range(ROUNDS):
            try:
                theirs.send(LINE)  # 客户端：只写，不读
            except BlockingIOError:
                pass
            if room_for_more(outbox):  # 服务器：读，回答
                try:
                    outbox += ours.recv(65536).upper()
                except BlockingIOError:
                    pass
            try:
                del outbox[: ours.send(outbox[:65536])]
            except BlockingIOError:
                pass
    return len(outbox)


def wrong():
    kept = feed(lambda outbox: True)
    return f"{kept // 1000} kB kept for a client that reads nothing"


def right():
    # 不再读它，就是全部的办法：内核的缓冲区满了，TCP 告诉客户端的内核，最后轮到客户端自己等着。
    # 这就叫背压。
    kept = feed(lambda outbox: not outbox)
    return f"{kept // 1000} kB kept for a client that reads nothing"


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
