"""`except: pass` 在这里的意思是“没有东西可读”，可是它把别的也全藏起来了。"""

import socket


def one_look(sock, handler):
    """读一次并处理，结果如何：'answered'、'nothing there'，或者一个异常。"""
    try:
        return handler(sock)
    except BaseException as error:
        return f"{type(error).__name__} came through"


def careless(sock):
    try:
        data = sock.recv(100)
        sock.send(data.uper())  # 一处笔误，永远不会有人告诉你
        return "answered"
    except:  # noqa: E722
        return "nothing there"


def careful(sock):
    try:
        data = sock.recv(100)
    except BlockingIOError:  # 只捕获想捕获的那一个，只包住可能抛出它的那一个调用
        return "nothing there"
    sock.send(data.uper())
    return "answered"


def look_twice(handler):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        silent = one_look(ours, handler)
        theirs.sendall(b"hello")
        return f"silent client: {silent}; client that says hello: {one_look(ours, handler)}"


def wrong():
    return look_twice(careless)


def right():
    return look_twice(careful)


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
