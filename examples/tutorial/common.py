"""What no chapter changes: the door of the server, the client, and the command line.

Chapter 1 explains it; every chapter imports it, and so holds only what it is about.
"""

import codecs
import socket
import sys

# A packet may end in the middle of a character. A Decoder keeps the first half until
# the second comes: one for each client, because each has its own half.
Decoder = codecs.getincrementaldecoder("utf-8")


def listen(port):
    """Open the door at this port (0: any free one) and say which it is."""
    listener = socket.socket()
    # A server that is started again finds its old connections still in TIME_WAIT, for a
    # minute, and its port "in use". This option says: only a living server counts.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)  # so many callers may wait until accept() takes them
    print("listening on port", listener.getsockname()[1], flush=True)
    return listener


def client(host, port):
    """Send what is typed, line by line, and print the answers; Ctrl-D ends."""
    with socket.create_connection((host, port)) as sock:
        # One recv() is not one answer. makefile() collects bytes until the line is
        # whole, and decodes it then, once.
        answers = sock.makefile(encoding="utf-8", newline="\n")
        for line in sys.stdin:
            sock.sendall(line.rstrip("\n").encode() + b"\n")
            answer = answers.readline()
            if not answer:
                sys.exit("the server has gone")
            print(answer, end="", flush=True)


def main(usage, serve):
    """Be a server or a client, as the command line says; Ctrl-C ends either."""
    try:
        match sys.argv[1:]:
            case ["server", port] if port.isdecimal():
                with listen(int(port)) as listener:
                    serve(listener)
            case ["client", host, port] if port.isdecimal():
                client(host, int(port))
            case _:
                print(usage, file=sys.stderr)
                sys.exit(2)
    except KeyboardInterrupt:  # this is how a server is told to stop: no accident
        print("stopped")
    except (OSError, OverflowError) as error:  # the port is taken, there is no such port, ...
        sys.exit(f"sorry: {error}")
