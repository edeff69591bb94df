"""一边遍历列表一边删：下一个往前挪一位，就被跳过了。"""


def wrong():
    clients = ["anna left", "ben left", "carl", "dora left"]
    visited = []
    for client in clients:
        visited.append(client)
        if client.endswith("left"):
            clients.remove(client)
    return f"visited {visited}, kept {clients}"


def right():
    clients = ["anna left", "ben left", "carl", "dora left"]
    visited = []
    for client in list(clients):  # 一份副本，在删除任何元素之前复制的
        visited.append(client)
        if client.endswith("left"):
            clients.remove(client)
    return f"visited {visited}, kept {clients}"


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
