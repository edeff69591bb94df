"""Removing from the list that one walks on: the next one moves up, and is passed over."""


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
    for client in list(clients):  # a copy, made before anything is removed
        visited.append(client)
        if client.endswith("left"):
            clients.remove(client)
    return f"visited {visited}, kept {clients}"


if __name__ == "__main__":
    print("wrong:", wrong())
    print("right:", right())
