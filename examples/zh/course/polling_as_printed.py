"""轮询服务器，照课上的写法。它有毛病：见“课上的三个服务器”一页。

python polling_as_printed.py          port 9999
python polling_as_printed.py PORT
"""

import socket
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 9999

server = socket.socket()
server.bind(("127.0.0.1", PORT))
server.listen(5)
server.setblocking(False)
print("listening on port", server.getsockname()[1])

clients = []
while True:
    try:
        client, address = server.accept()
        print("came:", address)
        clients.append(client)
    except:
        pass
    for client in clients:
        try:
            text = client.recv(1024).decode("utf-8")
            if text == "":
                print("left:", address)
                clients.remove(client)
                client.close()
                continue
            client.send(b"hello, client\n")
            print("got:", text.decode("utf-8"))
        except:
            pass
