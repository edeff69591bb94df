"""The server of the page on production: does it hold what the page says about it?"""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.tutorial.programs import PATIENCE, ROOT, connect, environment, receive

PROGRAM = str(ROOT / "examples" / "production.py")


class Service:
    """The program, and what it has said so far."""

    def __init__(self, *arguments: str, variables: dict[str, str] | None = None, **settings: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, *arguments],
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment(**(variables or {})),
            start_new_session=True,  # to be killed with its workers, which hold the other end of the pipe
            **settings,  # type: ignore[call-overload]
        )
        self.log = ""

    def says(self, pattern: str) -> str:
        """Read its log up to the first line that contains this; returns the pattern's group."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log += line
            if found := re.search(pattern, line):
                return found[found.re.groups]
        raise AssertionError(f"it never said {pattern!r}, but: {self.log}")

    def tells(self, pattern: str, times: int) -> list[str]:
        """Read its log until so many lines in it contain this, in any order; returns the pattern's groups."""
        assert self.process.stderr is not None
        while len(found := re.findall(pattern, self.log)) < times:
            line = self.process.stderr.readline()
            assert line, f"it never said {pattern!r} {times} times, but: {self.log}"
            self.log += line
        return found

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        _, rest = self.process.communicate(timeout=PATIENCE)
        self.log += rest
        return self.process.returncode


@contextlib.contextmanager
def serving(*arguments: str, workers: int = 2, **settings: object) -> Iterator[tuple[Service, int]]:
    service = Service("--port", "0", "--workers", str(workers), *arguments, **settings)
    try:
        port = int(service.says(r"port (\d+), \d+ workers"))
        service.tells("worker .: serving", workers)
        yield service, port
        assert service.end() == 0, service.log
    finally:
        service.kill()


def ask(sock: socket.socket, line: bytes) -> bytes:
    sock.sendall(line)
    return receive(sock, len(line))


def connections(port: int) -> int:
    """How many a worker says it has."""
    with connect(port) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        text = receive(sock, 1 << 20).decode()
    assert "loopkit_eventloop_seconds" in text
    found = re.search(r"^server_connections (\d+)$", text, re.MULTILINE)
    assert found
    return int(found[1])


def test_the_kernel_deals_the_callers_out_to_all_workers_and_their_metrics_say_so() -> None:
    service = Service("--port", "0", "--workers", "2", "--metrics", "0")
    try:
        port = int(service.says(r"port (\d+), 2 workers"))
        service.tells("serving", 2)
        ports = [int(number) for number in service.tells(r"metrics on port (\d+)", 2)]
        with ExitStack() as stack:
            for number in range(40):
                assert (
                    ask(stack.enter_context(connect(port)), b"hello %d\n" % number) == b"HELLO %d\n" % number
                )
            counts = [connections(worker) for worker in ports]
            assert sum(counts) == 40
            assert min(counts) > 0
        assert service.end() == 0
    finally:
        service.kill()


def test_at_the_end_the_idle_are_sent_home_and_an_answer_under_way_arrives_whole() -> None:
    line = b"x" * 1_000_000 + b"\n"
    with serving() as (service, port), connect(port) as idle, connect(port) as busy:
        assert ask(idle, b"hello\n") == b"HELLO\n"
        busy.sendall(line)
        assert receive(busy, 1) == b"X"
        service.process.send_signal(signal.SIGTERM)
        assert receive(idle, 1) == b""
        assert receive(busy, len(line)) == line.upper()[1:]
        assert receive(busy, 1) == b""


def test_a_worker_that_is_killed_is_replaced_and_the_port_is_never_given_up() -> None:
    with serving("--pause", "0", workers=1) as (service, port):
        pid = int(re.search(r"serving, process (\d+)", service.log)[1])  # type: ignore[index]
        os.kill(pid, signal.SIGKILL)
        service.says("worker 0 ended .-9.: another one takes its place")
        service.says("worker 0: serving")
        with connect(port) as sock:
            assert ask(sock, b"again\n") == b"AGAIN\n"


def test_who_is_silent_is_sent_home() -> None:
    with serving("--idle", "0.1", workers=1) as (_, port), connect(port) as sock:
        with contextlib.suppress(ConnectionResetError):
            assert receive(sock, 1) == b""


def test_one_too_many_is_told_so_and_the_others_stay() -> None:
    with serving("--limit", "1", workers=1) as (_, port), connect(port) as first, connect(port) as second:
        assert ask(first, b"one\n") == b"ONE\n"
        assert receive(second, 100) == b"sorry, full\n"
        assert ask(first, b"still here\n") == b"STILL HERE\n"


def test_a_line_without_end_ends_its_connection_and_no_other() -> None:
    with serving(workers=1) as (_, port), connect(port) as sock, connect(port) as other:
        with contextlib.suppress(ConnectionError):  # it closes with bytes unread: that is a reset
            sock.sendall(b"x" * 3_000_000)
            while sock.recv(1 << 16):
                pass
        assert ask(other, b"hello\n") == b"HELLO\n"


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))


def test_out_of_descriptors_is_one_line_in_the_log_and_who_is_in_is_served() -> None:
    with serving(workers=1, preexec_fn=few_descriptors) as (service, port), ExitStack() as stack:
        first = stack.enter_context(connect(port))
        assert ask(first, b"hello\n") == b"HELLO\n"
        for _ in range(60):
            stack.enter_context(connect(port))
        service.says("Too many open files")
        assert ask(first, b"still here\n") == b"STILL HERE\n"
    assert service.log.count("Too many open files") < 5  # it rests for a second each time


def test_a_listener_that_systemd_holds_is_taken_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        as_3 = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
            "os.execv(sys.executable, sys.argv[2:])"
        )
        service = subprocess.Popen(
            [sys.executable, "-c", as_3, str(listener.fileno()), sys.executable, PROGRAM, "--workers", "1"],
            stderr=subprocess.PIPE,
            pass_fds=(listener.fileno(),),
            env=environment(LISTEN_FDS="1"),
        )
        try:
            with connect(listener.getsockname()[1]) as sock:
                assert ask(sock, b"hello\n") == b"HELLO\n"
        finally:
            service.send_signal(signal.SIGTERM)
            _, log = service.communicate(timeout=PATIENCE)
        assert service.returncode == 0, log


def test_a_listener_that_is_meant_for_another_process_is_left_alone() -> None:
    with serving(workers=1, variables={"LISTEN_FDS": "1", "LISTEN_PID": "1"}) as (_, port):
        with connect(port) as sock:
            assert ask(sock, b"hello\n") == b"HELLO\n"


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_hears_when_all_workers_serve_and_when_it_stops(kind: str, tmp_path: Path) -> None:
    name = f"{tmp_path}/notify" if kind == "path" else f"@loopkit-{os.getpid()}-notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0", 1) if kind == "abstract" else name)
        systemd.settimeout(PATIENCE)
        service = Service("--port", "0", "--workers", "2", variables={"NOTIFY_SOCKET": name})
        try:
            assert systemd.recv(100) == b"READY=1"
            # What systemd starts after this one may connect at once.
            port = int(service.says(r"port (\d+), 2 workers"))
            with connect(port) as sock:
                assert ask(sock, b"hello\n") == b"HELLO\n"
                service.process.send_signal(signal.SIGTERM)
                assert systemd.recv(100) == b"STOPPING=1"
            service.process.communicate(timeout=PATIENCE)
            assert service.process.returncode == 0
            systemd.setblocking(False)
            with pytest.raises(BlockingIOError):  # and that was all it said
                systemd.recv(100)
        finally:
            service.kill()


@pytest.mark.parametrize("language", ["", "zh/"])
def test_the_page_shows_this_program(language: str) -> None:
    page = (ROOT / f"docs/{language}howto/production.md").read_text(encoding="utf-8")
    assert "examples/production.py" in page
