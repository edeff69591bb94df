"""A client that crashes says no goodbye: recv() raises, and an empty read never comes."""

import socket
import struct


def crash(sock):
    """Close with a reset, as the kernel does for a program that dies with unread data."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def serve(clients, read):
    """Attend to each client once; returns what the server says to that."""
    said = []
    try:
        for name, sock in clients:
            said.append(f"{name}: {read(sock)}")
    except OSError as error:
        said.append(f"the server ends with {type(error).__name__}")
    return "; ".join(said)


def careless(sock):
    return sock.recv(100).decode() or "left"


def careful(sock):
    try:
        return sock.recv(100).decode() or "left"
    except OSError as error:  # whatever happened to this client, the others are still there
        return f"was lost ({error.strerror})"


def two_clients(read):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        anna = socket.create_connection(listener.getsockname())
        annas_end, _ = listener.accept()
        with socket.create_connection(listener.getsockname()) as ben:
            bens_end, _ = listener.accept()
            crash(anna)
            ben.sendall(b"hello")
            with annas_end, bens_end:
                return serve([("anna", annas_end), ("ben", bens_end)], read)


def wrong():
    return two_clients(careless)


def right():
    return two_clients(careful)


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
