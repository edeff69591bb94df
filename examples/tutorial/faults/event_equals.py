"""An event is a word of bits. What epoll says in each situation, and what `==` makes of it."""

import select
import socket
import struct
from select import EPOLLIN, EPOLLOUT

BITS = ["EPOLLIN", "EPOLLPRI", "EPOLLOUT", "EPOLLERR", "EPOLLHUP", "EPOLLRDHUP"]


def nothing(client):
    pass


def writes(client):
    client.sendall(b"hello")


def writes_and_shuts_down(client):
    client.sendall(b"hello")
    client.shutdown(socket.SHUT_WR)  # "I have said everything, and listen"


def closes(client):
    client.close()


def crashes(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


SITUATIONS = [nothing, writes, writes_and_shuts_down, closes, crashes]


def event_after(situation, asked):
    """The event word for the server's end once its client has done this."""
    with socket.create_server(("127.0.0.1", 0)) as listener, select.epoll() as watched:
        client = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        with ours, client:
            situation(client)
            watched.register(ours, asked)
            events = watched.poll(0)
            return events[0][1] if events else 0


def in_words(event):
    return " | ".join(bit for bit in BITS if event & getattr(select, bit)) or "no event"


def wrong():
    event = event_after(crashes, EPOLLIN)
    if event == EPOLLIN:
        return "read, and find out"
    elif event == EPOLLOUT:
        return "write"
    else:
        return "nothing is done: epoll tells the same again at once, without end"


def right():
    event = event_after(crashes, EPOLLIN)
    if event & EPOLLOUT:
        return "write"
    else:
        return "read, and find out"


if __name__ == "__main__":
    for situation in SITUATIONS:
        print(f"{situation.__name__:24}", in_words(event_after(situation, EPOLLIN | select.EPOLLRDHUP)))
    print("wrong:", wrong())
    print("right:", right())
