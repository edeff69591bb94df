"""第 1 章：一个阻塞的客户端，堵住所有人。

整个教程的任务：客户端写来什么，服务器就变成大写送回去。

    python 01_blocking.py server 9898
    python 01_blocking.py client 127.0.0.1 9898        (or: nc 127.0.0.1 9898)
"""

from common import Decoder, main


def serve(listener):
    while True:
        sock, address = listener.accept()  # 有人来之前，一直睡着
        with sock:
            talk(sock, "{}:{}".format(*address))


def talk(sock, name):
    """响应一个客户端，直到它离开。其他人都得等这么久。"""
    print(name, "came", flush=True)
    decoder = Decoder(errors="replace")
    try:
        # 客户端写来之前，recv() 一直睡着；b"" 表示它不会再写了。
        while data := sock.recv(65536):
            answer = decoder.decode(data).upper().encode()
            # send() 可能只拿走一部分。sendall() 会重复发送，其间睡着等。
            sock.sendall(answer)
    except OSError as error:  # 复位、超时：丢掉这个客户端，服务器照常
        print(name, "was lost:", error, flush=True)
    else:
        print(name, "left", flush=True)


if __name__ == "__main__":
    main(__doc__, serve)
