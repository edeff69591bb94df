"""`except: pass` means "nothing to read" here, and hides everything else as well."""

import socket


def one_look(sock, handler):
    """What became of reading once and handling it: 'answered', 'nothing there', or an exception."""
    try:
        return handler(sock)
    except BaseException as error:
        return f"{type(error).__name__} came through"


def careless(sock):
    try:
        data = sock.recv(100)
        sock.send(data.uper())  # a slip of the pen, and nobody will ever say so
        return "answered"
    except:  # noqa: E722
        return "nothing there"


def careful(sock):
    try:
        data = sock.recv(100)
    except BlockingIOError:  # the one thing that is meant, around the one call that may say it
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
