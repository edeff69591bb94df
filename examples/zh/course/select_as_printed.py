"""select 服务器，照课上的写法。它有毛病：见“课上的三个服务器”一页。

python select_as_printed.py           port 9898
python select_as_printed.py PORT
"""

import select
import socket
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 9898

server = socket.socket()
server.setblocking(False)
server.bind(("127.0.0.1", PORT))
server.listen(5)
print("listening on port", server.getsockname()[1])

inputs = [server]
outputs = []
messages = {}

while True:
    readable, writable, exceptional = select.select(inputs, outputs, inputs)
    for sock in readable:
        if sock is server:
            client, address = sock.accept()
            client.setblocking(False)
            inputs.append(client)
            messages[client] = []
        else:
            data = sock.recv(1024)
            if data:
                messages[sock].append(data)
                if sock not in outputs:
                    outputs.append(sock)
            else:
                if sock in outputs:
                    outputs.remove(sock)
                inputs.remove(sock)
                sock.close()
                del messages[sock]
    for sock in writable:
        sock.send(b"".join(messages[sock]))
        messages[sock] = []
        outputs.remove(sock)
    for sock in exceptional:
        inputs.remove(sock)
        if sock in outputs:
            outputs.remove(sock)
        sock.close()
        del messages[sock]
