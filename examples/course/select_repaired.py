"""The select server, repaired. What it still cannot do is the model's own limit: descriptors above 1023.

python select_repaired.py             port 9898
python select_repaired.py PORT
"""

import select
import socket
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 9898


def serve(server):
    inputs = [server]
    outputs = []
    messages = {}  # what each client is still owed: bytes, for a message has no borders in TCP

    def drop(sock):
        for interest in (inputs, outputs):
            if sock in interest:
                interest.remove(sock)
        del messages[sock]
        sock.close()

    while True:
        readable, writable, _ = select.select(inputs, outputs, [])
        for sock in readable:
            if sock is server:
                client, _ = sock.accept()
                if client.fileno() > 1023:  # select() would raise, and everybody would be cut off
                    client.close()
                    continue
                client.setblocking(False)  # it is not inherited from the listener, on Linux
                inputs.append(client)
                messages[client] = b""
                continue
            try:
                data = sock.recv(65536)
            except BlockingIOError:
                continue
            except OSError:  # this client is lost, the others are not
                drop(sock)
                continue
            if data:
                messages[sock] = data
                # Until it has taken this answer, it is not read from: that is back-pressure.
                inputs.remove(sock)
                outputs.append(sock)
            else:
                drop(sock)
        for sock in writable:
            if sock not in messages:  # closed a moment ago, in the loop above
                continue
            try:
                sent = sock.send(messages[sock])  # takes what fits, and says how much
            except BlockingIOError:
                continue
            except OSError:
                drop(sock)
                continue
            messages[sock] = messages[sock][sent:]
            if not messages[sock]:
                outputs.remove(sock)
                inputs.append(sock)


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
