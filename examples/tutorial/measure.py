"""Measure the servers of the tutorial, as the chapters do.

    python measure.py wait 01_blocking.py          does the second client get an answer?
    python measure.py idle 02_polling.py           CPU time wanted while 100 clients say nothing
    python measure.py cost 04_poll.py 05_epoll.py  CPU time per answer, with more and more silent clients
    python measure.py crowd 03_select.py 1100      how many of so many clients are served
    python measure.py rate 05_epoll.py             answers per second to 50 busy clients
    python measure.py memory 09_hundred_lines.py   memory gained while answering 50 busy clients

Linux only: the kernel's own count of a process's CPU time is read from /proc.
"""

import resource
import select
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROUNDS = 3
# Seconds, so that a table is there within a minute whatever the server is like: for all clients of a cell to
# be let in, for the answers of one round, and for the rounds of one cell.
LET_IN, ANSWERING, CELL = 10, 1.5, 6


@contextmanager
def running(name):
    """Start a server of this folder in another process; gives its port and its process id."""
    # As many descriptors as we may have, for ourselves and, by inheritance, for the server.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    process = subprocess.Popen(
        [sys.executable, HERE / name, "server", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        if not (first := process.stdout.readline()):
            sys.exit(f"{name} does not start; to see why: python {name} server 9898")
        port = int(first.split()[-1])
        # What else it prints is thrown away, by a process of its own: a full pipe would stop it.
        with subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL):
            process.stdout.close()
            try:
                yield port, process.pid
            finally:
                process.terminate()  # Ctrl-C would do, but for who starts us with "&": there it is ignored
                process.wait()
    finally:
        process.kill()
        process.wait()


def cpu_seconds(pid, waiting=False):
    """CPU time of all its threads so far, user and system, to the nanosecond.

    With *waiting* also the time in which they could have run, and others had the processors.
    """
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(sum(map(int, task.read_text().split()[: 1 + waiting])) for task in tasks) / 1e9


def ask(sock):
    sock.sendall(b"hello\n")
    return sock.recv(100) == b"HELLO\n"


@contextmanager
def clients(port, count):
    """So many connections; TimeoutError if the server does not let them in within LET_IN seconds."""
    end = time.monotonic() + LET_IN
    with ExitStack() as stack:
        socks = []
        for _ in range(count):
            left = max(0.001, end - time.monotonic())
            socks.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=left)))
        if socks:
            socks[-1].settimeout(max(0.001, end - time.monotonic()))
            ask(socks[-1])  # callers are let in one after another: now all are in
        for sock in socks:
            sock.settimeout(None)
        yield socks


def wait(name):
    with running(name) as (port, _), clients(port, 1):
        second = socket.create_connection(("127.0.0.1", port), timeout=2)
        with second:
            began = time.perf_counter()
            try:
                ask(second)
                print(f"{name}: the second client has waited {time.perf_counter() - began:.4f} s")
            except TimeoutError:
                print(f"{name}: the second client has no answer after 2 s: the first is still there")


def idle(name, count=100):
    shares = []
    with running(name) as (port, pid), clients(port, count):
        for _ in range(ROUNDS):
            before, began = cpu_seconds(pid, waiting=True), time.perf_counter()
            time.sleep(1)
            shares.append((cpu_seconds(pid, waiting=True) - before) / (time.perf_counter() - began))
    # The least: when the last client has its answer, the server has not gone to sleep yet.
    print(f"{name}: wants {min(shares):.1%} of a core for {count} clients who say nothing")


def one_cost(name, silent):
    with running(name) as (port, pid), clients(port, silent), clients(port, 1) as (sock,):
        ask(sock)
        before, end, answers = cpu_seconds(pid), time.monotonic() + ANSWERING, 0
        while answers < 2000 and time.monotonic() < end:
            ask(sock)
            answers += 1
        return (cpu_seconds(pid) - before) / answers * 1e6


def cost_in_words(name, silent):
    """The median of three rounds, or of as many as there is time for; "-" if the clients are not let in."""
    if name == "03_select.py" and silent > 1000:
        return "-"
    costs, end = [], time.monotonic() + CELL
    try:
        while not costs or (len(costs) < ROUNDS and time.monotonic() < end):
            costs.append(one_cost(name, silent))
    except TimeoutError:
        return "-"
    return f"{statistics.median(costs):.1f}"


def cost(names, counts=(0, 100, 1000, 5000)):
    print("microseconds of CPU time per answer, by number of silent clients")
    print(f"{'':24}" + "".join(f"{count:>9}" for count in counts))
    for name in names:
        print(f"{name:24}", end="", flush=True)
        for count in counts:
            print(f"{cost_in_words(name, count):>9}", end="", flush=True)
        print()


def crowd(name, count):
    served = 0
    with running(name) as (port, _), ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
        for sock in socks:
            try:
                served += ask(sock)
            except ConnectionError:  # turned away
                pass
    print(f"{name}: {served} of {count} clients were served")


def keep_busy(socks, enough):
    """Ask through all of them without a pause, until enough(answers); returns the number of answers."""
    by_number = {sock.fileno(): sock for sock in socks}
    answers = 0
    with select.epoll() as answered:
        for sock in socks:
            answered.register(sock, select.EPOLLIN)
            sock.sendall(b"hello\n")
        while not enough(answers):
            for fd, _ in answered.poll():
                by_number[fd].recv(100)
                by_number[fd].sendall(b"hello\n")
                answers += 1
    return answers


def one_rate(name, count=50, seconds=1.5):
    """Answers per second, and CPU microseconds per answer."""
    with running(name) as (port, pid), clients(port, count) as socks:
        before, began = cpu_seconds(pid), time.perf_counter()
        answers = keep_busy(socks, lambda answers: time.perf_counter() > began + seconds)
        return answers / (time.perf_counter() - began), (cpu_seconds(pid) - before) / answers * 1e6


def rate(names):
    print("50 busy clients:        answers/s   CPU us per answer")
    results = {name: [] for name in names}
    for _ in range(ROUNDS):  # in turns: a noisy moment of the machine hits them all
        for name in names:
            results[name].append(one_rate(name))
    for name, rounds in results.items():
        per_second, microseconds = map(statistics.median, zip(*rounds, strict=True))
        print(f"{name:24}{per_second:9.0f}{microseconds:20.1f}", flush=True)


def kilobytes(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def memory(names, count=50, total=200_000):
    for name in names:
        with running(name) as (port, pid), clients(port, count) as socks:
            keep_busy(socks, lambda answers: answers >= 1000)
            before = kilobytes(pid)
            answers = keep_busy(socks, lambda answers: answers >= total)
            print(f"{name:24}{kilobytes(pid) - before:8} kB more after {answers} answers", flush=True)


def main():
    match sys.argv[1:]:
        case ["wait", name]:
            wait(name)
        case ["idle", name]:
            idle(name)
        case ["cost", *names] if names:
            cost(names)
        case ["crowd", name, count] if count.isdecimal():
            crowd(name, int(count))
        case ["rate", *names] if names:
            rate(names)
        case ["memory", *names] if names:
            memory(names)
        case _:
            print(__doc__, file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:  # no descriptor left (ulimit -n), ...
        sys.exit(f"sorry: {error}")
