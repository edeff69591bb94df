"""Asks for the answers of a client that it has just forgotten: it could be written to in the same turn."""

import queue
import select
import socket
import sys

door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
door.setblocking(False)
readers, writers, answers = [door], [], {}
while True:
    readable, writable, _ = select.select(readers, writers, [])
    for sock in readable:
        if sock is door:
            client, _ = door.accept()
            client.setblocking(False)
            readers.append(client)
            answers[client] = queue.Queue()
        elif data := sock.recv(1024):
            answers[sock].put(data)
            if sock not in writers:
                writers.append(sock)
        else:
            if sock in writers:
                writers.remove(sock)
            readers.remove(sock)
            sock.close()
            del answers[sock]
    for sock in writable:
        try:
            answer = answers[sock].get_nowait()
        except queue.Empty:
            writers.remove(sock)
        else:
            sock.send(answer)
