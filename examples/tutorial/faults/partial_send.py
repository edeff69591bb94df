"""send() takes as much as the kernel has room for, and says how much that was."""

import socket

MESSAGE = b"x" * 10_000_000


def deliver(send_all_of_it):
    """How many bytes of MESSAGE reach the other end."""
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
        sock.send(MESSAGE)  # returns how much it took; nobody looks

    return deliver(careless)


def right():
    def careful(sock, other_end_reads):
        rest = memoryview(MESSAGE)  # slicing bytes would copy the whole rest each time
        while rest:
            try:
                rest = rest[sock.send(rest) :]
            except BlockingIOError:
                other_end_reads()  # a server waits for EPOLLOUT here, and serves others

    return deliver(careful)


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
