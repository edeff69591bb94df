"""各章都不变的部分：服务器的门口、客户端、命令行。

第 1 章讲解它；每一章都导入它，这样自己只剩要讲的东西。
"""

import codecs
import socket
import sys

# 数据包可能正好断在一个字的中间。Decoder 把前半个字留着，等后半个到了再解：每个客户端要有自己
# 的一个，因为各有各的半个字。
Decoder = codecs.getincrementaldecoder("utf-8")


def listen(port):
    """在这个端口上监听（0：任意一个空闲的），并说出是哪个端口。"""
    listener = socket.socket()
    # 服务器重新启动时，旧连接还在 TIME_WAIT 状态，要待一分钟，端口因此“被占用”。这个选项的意
    # 思是：只有活着的服务器才算数。
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)  # 在 accept() 之前，最多可以有这么多来客排队
    print("listening on port", listener.getsockname()[1], flush=True)
    return listener


def client(host, port):
    """把键盘上打的一行一行发出去，打印回答；Ctrl-D 结束。"""
    with socket.create_connection((host, port)) as sock:
        # 一次 recv() 并不等于一个回答。makefile() 攒够一整行，再一次解码。
        answers = sock.makefile(encoding="utf-8", newline="\n")
        for line in sys.stdin:
            sock.sendall(line.rstrip("\n").encode() + b"\n")
            answer = answers.readline()
            if not answer:
                sys.exit("the server has gone")
            print(answer, end="", flush=True)


def main(usage, serve):
    """按命令行当服务器或客户端；Ctrl-C 结束。"""
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
    except KeyboardInterrupt:  # 服务器就是这样停下的：不算意外
        print("stopped")
    except (OSError, OverflowError) as error:  # 端口被占用、没有这个端口……
        sys.exit(f"sorry: {error}")
