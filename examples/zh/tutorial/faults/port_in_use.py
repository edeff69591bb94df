"""服务器重新启动时，发现端口“被占用”，其实已经没有人在用了。"""

import socket


def restart(reuse):
    """运行一个有客户端的服务器，停下，再启动；返回这时发生的事。"""
    first = socket.socket()
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    first.bind(("127.0.0.1", 0))
    first.listen()
    port = first.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    connection, _ = first.accept()
    # 谁先关闭，谁就把这一对地址留在 TIME_WAIT，免得这个连接迟到的数据包被当成下一个连接的。
    connection.close()
    client.close()
    first.close()

    with socket.socket() as second:
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            second.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror
        return "listening again"


def wrong():
    return restart(reuse=False)


def right():
    return restart(reuse=True)


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
