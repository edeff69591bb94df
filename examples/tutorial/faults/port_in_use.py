"""A server that is started again finds its port "in use", although nobody uses it any more."""

import socket


def restart(reuse):
    """Run a server with one client, stop it, start it again; returns what happens then."""
    first = socket.socket()
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    first.bind(("127.0.0.1", 0))
    first.listen()
    port = first.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    connection, _ = first.accept()
    # Who closes first keeps the pair of addresses in TIME_WAIT, lest late packets of this
    # connection be taken for those of the next one.
    connection.close()
    client.close()
    first.close()

    with socket.socket() as second:
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            second.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror
        return "listening again"


def wrong():
    return restart(reuse=False)


def right():
    return restart(reuse=True)


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
