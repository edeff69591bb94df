"""事件由一个个比特位组成。各种情况下 epoll 怎么说，用 `==` 去比又会怎样。"""

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
    client.shutdown(socket.SHUT_WR)  # “我说完了，还在听”


def closes(client):
    client.close()


def crashes(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


SITUATIONS = [nothing, writes, writes_and_shuts_down, closes, crashes]


def event_after(situation, asked):
    """客户端做了这件事之后，服务器那一端的事件。"""
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
