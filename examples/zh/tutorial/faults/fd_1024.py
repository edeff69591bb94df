"""select() 看不了 1024 号描述符，任何设置都改变不了。"""

import os
import resource
import select
import socket


def watch(wait):
    """拿到一个编号大于 1023、有东西可读的套接字，然后等它。"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1100:
        return f"cannot be tried: this process may have {hard} descriptors only"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1100), hard))
    ours, theirs = socket.socketpair()
    high = os.dup2(ours.fileno(), 1024)
    theirs.sendall(b"hello")
    try:
        return f"descriptor {high}: {wait(high)}"
    except ValueError as error:
        return f"descriptor {high}: ValueError: {error}"
    finally:
        os.close(high)
        ours.close()
        theirs.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def wrong():
    def with_select(fd):
        readable, _, _ = select.select([fd], [], [])
        return "readable" if readable else "nothing"

    return watch(with_select)


def right():
    def with_poll(fd):
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return "readable" if poller.poll() else "nothing"

    return watch(with_poll)


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
