"""select() cannot watch descriptor 1024, and no setting changes that."""

import os
import resource
import select
import socket


def watch(wait):
    """Get a socket with a number above 1023 that has something to read, and wait for it."""
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
