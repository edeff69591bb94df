"""A client that writes and never reads: who answers without a limit keeps all its answers."""

import socket

ROUNDS = 2000
LINE = b"x" * 10_000


def feed(room_for_more):
    """Let a client write for so long, and never read; how much does the server have to keep?"""
    ours, theirs = socket.socketpair()
    outbox = bytearray()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        for _ in range(ROUNDS):
            try:
                theirs.send(LINE)  # the client: writes, reads nothing
            except BlockingIOError:
                pass
            if room_for_more(outbox):  # the server: reads, answers
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
    # Not reading is the whole cure: the kernel's buffers fill, TCP tells the client's kernel,
    # and in the end the client itself has to wait. This is called back-pressure.
    kept = feed(lambda outbox: not outbox)
    return f"{kept // 1000} kB kept for a client that reads nothing"


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
