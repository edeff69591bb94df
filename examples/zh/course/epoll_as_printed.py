"""epoll 服务器，照课上的写法。它有毛病：见“课上的三个服务器”一页。

python epoll_as_printed.py            port 1688
python epoll_as_printed.py PORT
"""

import queue
import select
import socket
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 1688

server = socket.socket()
server.bind(("127.0.0.1", PORT))
server.listen(5)
server.setblocking(False)
print("listening on port", server.getsockname()[1])

epoll = select.epoll()
epoll.register(server.fileno(), select.EPOLLIN)
connections = {}
answers = queue.Queue()

while True:
    for fd, event in epoll.poll():
        if fd == server.fileno():
            client, address = server.accept()
            client.setblocking(False)
            epoll.register(client.fileno(), select.EPOLLIN)
            connections[client.fileno()] = client
        elif event == select.EPOLLIN:
            data = connections[fd].recv(65536)
            if data:
                answers.put(data.decode("utf-8").upper())
                epoll.modify(fd, select.EPOLLOUT)
            else:
                epoll.unregister(fd)
                connections[fd].close()
                del connections[fd]
        elif event == select.EPOLLOUT:
            connections[fd].send(answers.get().encode("utf-8"))
            epoll.modify(fd, select.EPOLLIN)
