"""The polling server, repaired. What it still does is the model's own fault: it never sleeps.

python polling_repaired.py            port 9999
python polling_repaired.py PORT
"""

import codecs
import socket
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 9999


class Client:
    def __init__(self, sock, address):
        sock.setblocking(False)  # it is not inherited from the listener, on Linux
        self.sock = sock
        self.address = address
        # Each client has its own: it keeps the half of a character that a packet ended in.
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.answer = b""

    def step(self):
        """Do what can be done without waiting. False: the client has left."""
        try:
            if self.answer:  # first let it take what it is owed: only then is it read from
                self.answer = self.answer[self.sock.send(self.answer) :]
                return True
            data = self.sock.recv(1024)
        except BlockingIOError:  # the one error that is none; all the others are told
            return True
        except OSError as error:
            print("lost:", self.address, error)
            return False
        text = self.decoder.decode(data)
        if text:
            print("got:", text)
            self.answer = text.upper().encode()
        return bool(data)


def serve(server):
    clients = []
    while True:
        try:
            clients.append(Client(*server.accept()))
            print("came:", clients[-1].address)
        except BlockingIOError:
            pass
        for client in list(clients):  # a copy, since clients are removed on the way
            if not client.step():
                print("left:", client.address)
                clients.remove(client)
                client.sock.close()


if __name__ == "__main__":
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", PORT))
        server.listen(1024)
        server.setblocking(False)
        print("listening on port", server.getsockname()[1])
        try:
            serve(server)
        except KeyboardInterrupt:
            print("stopped")
