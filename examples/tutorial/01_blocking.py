"""Chapter 1: one blocking client stops everyone.

The task of the whole tutorial: a server sends back what a client writes, in upper case.

    python 01_blocking.py server 9898
    python 01_blocking.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

from common import Decoder, main


def serve(listener):
    while True:
        sock, address = listener.accept()  # sleeps until somebody calls
        with sock:
            talk(sock, "{}:{}".format(*address))


def talk(sock, name):
    """Answer one client until it leaves. Everybody else waits that long."""
    print(name, "came", flush=True)
    decoder = Decoder(errors="replace")
    try:
        # recv() sleeps until the client writes; b"" says that it will write no more.
        while data := sock.recv(65536):
            answer = decoder.decode(data).upper().encode()
            # send() may take only a part. sendall() repeats it, and sleeps in between.
            sock.sendall(answer)
    except OSError as error:  # reset, timed out: this client is lost, the server is not
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)


if __name__ == "__main__":
    main(__doc__, serve)
