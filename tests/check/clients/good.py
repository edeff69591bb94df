"""A correct client on select(), which every faulty one beside it is a variation of. It takes HOST PORT."""

import os
import select
import socket
import sys


class Client:
    def run(self):
        self.sock = self.connect()
        self.watched = [sys.stdin, self.sock]
        with self.sock:
            while self.sock in self.watched:
                for ready in self.wait():
                    self.typed() if ready is sys.stdin else self.came()

    def connect(self):
        try:
            return socket.create_connection((sys.argv[1], int(sys.argv[2])))
        except OSError as error:
            sys.exit(f"no server: {error}")

    def wait(self):
        return select.select(self.watched, [], [])[0]

    def typed(self):
        words = os.read(0, 65536)
        if words:
            self.sock.sendall(words)
        else:
            self.end_of_input()

    def end_of_input(self):
        self.watched.remove(sys.stdin)
        self.sock.shutdown(socket.SHUT_WR)

    def came(self):
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        if data:
            self.show(data)
        else:
            self.server_has_gone()

    def show(self, data):
        os.write(1, data)

    def server_has_gone(self):
        self.watched.remove(self.sock)


def main(client):
    try:
        client().run()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main(Client)
