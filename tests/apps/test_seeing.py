"""The programs of docs/howto/see-your-program-run.md: is each fault found as shown?"""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.apps.running import ON_LOOPKIT, ROOT, needs, running

PROGRAMS = ROOT / "examples" / "seeing"
PAGES = [ROOT / "docs" / folder / "howto/see-your-program-run.md" for folder in ("", "zh")]


@pytest.fixture
def shown(tmp_path):
    """Runs the command that the pages show for a program, on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def run(name, **environment):
        text = (PROGRAMS / name).read_text()
        (tmp_path / name).write_text(re.sub(r"\b(8080|8765|9898)\b", str(port), text))
        stem = name.removesuffix(".py")
        command = rf"(?:^\$ |`)loopkit ([^`\n]*\b{stem}[.:]\w+[^`\n]*)"
        (words,) = {re.search(command, page.read_text(), re.MULTILINE)[1] for page in PAGES}  # the same
        words = words.split()
        more = ["--port", str(port)] if "uvicorn" in words else []
        return running(*ON_LOOPKIT, *words, *more, folder=tmp_path, **environment), port

    return run


def ask(port, path=None):
    """A client that has said something: a request for *path*, or hello."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    sock.sendall(b"hello" if path is None else request.encode())
    return sock


def visit(port, path=None):
    """A client that says something, hears the answer and leaves."""
    with ask(port, path) as sock:
        if path is None:
            assert sock.recv(5) == b"HELLO"
        else:
            assert b"200 OK" in b"".join(iter(lambda: sock.recv(65536), b""))


def line(name, text):
    """The number of the line of a program that holds *text*; the pages name it."""
    lines = (PROGRAMS / name).read_text().splitlines()
    (number,) = [number for number, found in enumerate(lines, 1) if text in found]
    for page in PAGES:
        assert re.search(rf'{name}(:|", line ){number}\b', page.read_text()), (page, name, number)
    return number


@needs("aiohttp")
def test_the_shop_is_stuck_in_its_handler(shown):
    started, port = shown("shop.py")
    with started as program:
        program.wait_for("Running on")
        visit(port, "/")
        with ask(port, "/login"):  # said while it computes, not afterwards
            program.wait_for(rf'shop.py", line {line("shop.py", "pbkdf2")}, in login')


@needs("fastapi", "uvicorn")
def test_the_api_is_blocked_by_a_function_of_its_handler(shown, tmp_path):
    started, port = shown("api.py")
    with started as program:
        program.wait_for("Uvicorn running on")
        visit(port, "/price/3")
        program.signal(signal.SIGINT)
        at = line("api.py", "time.sleep")
        program.wait_for(rf"blocks: .* kept everybody waiting for 0\.\d+ s in convert \(.*api.py:{at}\)")
        program.wait_for("wrote api.html")
    assert (tmp_path / "api.html").stat().st_size > 10_000


@needs("websockets")
def test_the_chat_wakes_itself(shown):
    started, _ = shown("chat.py")
    with started as program:
        program.wait_for("chat at")
        wait_until_it_turns(program.pid)
        program.signal(signal.SIGINT)
        at = line("chat.py", "sleep(0)")
        program.wait_for(rf"wakes-itself: task 'Task-1' \(main\) .* times in a row: .*chat.py:{at}\)")


@pytest.mark.parametrize(
    ("name", "fault", "where"),
    [
        ("homework.py", r"wakes-itself: task 'Task-2' \(talk\) wakes itself", "sock.sendall"),
        ("callbacks.py", r"unread: fd \d+ \(main.<locals>.on_message, on socket 127.0.0.1", "def on_message"),
    ],
)
def test_the_homework_goes_on_with_who_has_left(shown, name, fault, where):
    started, port = shown(name)
    with started as program:
        program.wait_for("listening on port")
        visit(port)
        wait_until_it_turns(program.pid)
        program.signal(signal.SIGINT)
        program.wait_for(rf"{fault}.*{name}:{line(name, where)}\)")


def test_the_scraper_s_tasks_wait_for_a_line_that_does_not_come(shown, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    started, _ = shown("scraper.py")
    at = line("scraper.py", "a second line")
    with started as program:
        waiting = rf"fetch .* reading fd \d+ of 127.0.0.1:\d+  \(.*scraper.py:{at}\)"
        ps = [sys.executable, *ON_LOOPKIT, "ps", "--all", str(program.pid)]
        told = ""
        while len(re.findall(waiting, told)) < 5:
            program.assert_it_runs()
            told = subprocess.run(ps, capture_output=True, text=True, check=False, cwd=ROOT).stdout
    assert re.search(r"loop 1: epoll in MainThread, .*, \d+ tasks", told)


def test_the_scraper_s_fetches_leak_and_the_sites_do_not(tmp_path):
    text = (PROGRAMS / "scraper.py").read_text()
    (tmp_path / "scraper.py").write_text(
        text.replace("while True", "for _ in range(300)").replace("0.05", "0.025")
    )
    begun, waits = line("scraper.py", "create_task"), line("scraper.py", "a second line")
    words = [*ON_LOOPKIT, "trace", "-o", "scraper.html", "--last", "0", "scraper.py"]
    with running(*words, folder=tmp_path) as program:
        program.wait_for(rf"leaks: \d+ tasks of fetch, begun in scraper.py:{begun}, .*\(scraper.py:{waits}\)")
        program.wait_for("wrote scraper.html")
    assert program.output.count("leaks: ") == 1


def wait_until_it_turns(pid):
    """Until the process has used a tenth of a second more: a loop that spins has gone round by then."""

    def used():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    begin = used()
    while used() < begin + 10:
        time.sleep(0.01)
