"""How many clients can a server hold, and what does each one cost?

    python count.py select_repaired 100 1000
    python count.py epoll_repaired 1000 8000 19900

For each number of silent clients: microseconds of CPU time per answer to one that asks, kilobytes of the
server per client, kilobytes of the kernel per connection (both ends of it, since both are on this machine).
Linux only. There cannot be more clients than `ulimit -Hn` allows descriptors.
"""

import resource
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).parent
ANSWERS = 300


def all_descriptors():
    """For this process, and by inheritance for the server."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def number_in(path, name):
    text = Path(path).read_text()
    return int(text.partition(name)[2].split()[0])


def kernel_kilobytes():
    """What the kernel keeps for its own objects, sockets among them."""
    return number_in("/proc/meminfo", "Slab:")


def cpu_seconds(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def connect(port, number):
    """A client. A pair of addresses has 28,000 ports, so after 20,000 they come from another address."""
    sock = socket.socket()
    sock.bind((f"127.0.0.{2 + number // 20_000}", 0))
    sock.connect(("127.0.0.1", port))
    return sock


def ask(sock):
    sock.sendall(b"hello")
    return sock.recv(100)


def measure(port, pid, clients, count):
    memory, kernel, had = number_in(f"/proc/{pid}/status", "VmRSS:"), kernel_kilobytes(), len(clients)
    while len(clients) < count:
        clients.append(connect(port, len(clients)))
        try:
            served = ask(clients[-1])
        except ConnectionResetError:
            served = b""
        if not served:
            return f": {len(clients) - 1} are served, no more"
    per_client = (number_in(f"/proc/{pid}/status", "VmRSS:") - memory) / (count - had)
    per_connection = (kernel_kilobytes() - kernel) / (count - had)
    before = cpu_seconds(pid)
    for _ in range(ANSWERS):
        ask(clients[-1])
    microseconds = (cpu_seconds(pid) - before) / ANSWERS * 1e6
    return f"{microseconds:10.0f} us {per_client:8.1f} kB {per_connection:8.1f} kB"


def main():
    match sys.argv[1:]:
        case [name, *counts] if counts and all(count.isdecimal() for count in counts):
            sizes = sorted(int(count) for count in counts)
        case _:
            print(__doc__, file=sys.stderr)
            sys.exit(2)
    all_descriptors()
    command = [sys.executable, "-u", HERE / f"{name}.py", "0"]
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
        stack.callback(process.kill)
        port = int(process.stdout.readline().split()[-1])
        print(f"{name}: clients, CPU per answer, server's memory per client, kernel's per connection")
        clients = []
        stack.callback(lambda: [sock.close() for sock in clients])
        for size in sizes:
            print(f"{size:10}{measure(port, process.pid, clients, size)}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:  # no descriptor left (ulimit -n), ...
        sys.exit(f"sorry: {error}")
