"""Every server of the tutorial and the homework, run for real: does it do what its chapter says?"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pythons import NO_PORT, program
from tests.tutorial.programs import (
    HOMEWORK,
    PATIENCE,
    TUTORIAL,
    Server,
    ask,
    connect,
    crowd,
    environment,
    receive,
    vanish,
)

CHAPTERS = sorted(TUTORIAL.glob("[0-9]*.py"))
SOLUTIONS = sorted(HOMEWORK.glob("[0-9]*.py"))
BLOCKING = TUTORIAL / "01_blocking.py"
ALL = [program(path) for path in CHAPTERS + SOLUTIONS]
CONCURRENT = [param for param in ALL if param.values[0] != BLOCKING]
# Which of them know time: they send home who is silent, and survive running out of descriptors.
TIMED = [param for param in CONCURRENT if not param.values[0].stem.startswith(("02", "03", "04", "05", "06"))]


@pytest.fixture(params=CONCURRENT)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param) as server:
        yield server


@pytest.mark.parametrize("path", ALL)
def test_answers_in_upper_case_as_long_as_the_client_stays(path: Path) -> None:
    with Server(path) as server, connect(server.port) as sock:
        assert ask(sock, "hello\n") == "HELLO\n"
        assert ask(sock, "grüß dich, 世界\n") == "GRÜSS DICH, 世界\n"


def test_the_first_chapter_lets_the_second_client_wait_for_the_first() -> None:
    with Server(BLOCKING) as server, connect(server.port) as first, connect(server.port) as second:
        assert ask(first, "one\n") == "ONE\n"
        second.sendall(b"two\n")
        assert ask(first, "still me\n") == "STILL ME\n"
        second.setblocking(False)
        with pytest.raises(BlockingIOError):
            second.recv(1)
        first.close()
        second.settimeout(PATIENCE)
        assert receive(second, 4) == b"TWO\n"


def test_serves_many_at_once_while_some_are_silent(server: Server) -> None:
    with crowd(server.port, 30) as socks:
        for round in range(3):
            for number, sock in enumerate(socks[::2]):
                assert ask(sock, f"client {number}, round {round}\n") == f"CLIENT {number}, ROUND {round}\n"


def test_one_thread_does_it(server: Server) -> None:
    with crowd(server.port, 10) as socks:
        for sock in socks:
            assert ask(sock, "x") == "X"
        # Chapter 7 asks for names in one helper thread, whatever the number of clients.
        assert len(os.listdir(f"/proc/{server.pid}/task")) <= 2


@pytest.mark.parametrize("path", ALL)
def test_a_character_cut_in_two_by_a_packet_arrives_whole(path: Path) -> None:
    with Server(path) as server, connect(server.port) as sock:
        for character in "é世😀":
            for cut in range(1, len(character.encode())):
                sock.sendall(b"a" + character.encode()[:cut])
                assert receive(sock, 1) == b"A"  # so the first half has been read, by itself
                sock.sendall(character.encode()[cut:] + b"z")
                assert receive(sock, len(character.upper().encode()) + 1).decode() == character.upper() + "Z"


def test_bytes_that_are_no_text_do_not_end_it(server: Server) -> None:
    with connect(server.port) as sock:
        sock.sendall(b"\xff\xfeok")
        assert receive(sock, 8).decode() == "��OK"


def test_a_large_message_comes_back_whole_through_small_buffers(server: Server) -> None:
    words = "".join(f"{number:07x}\n" for number in range(50_000))
    with connect(server.port, small=True) as sock:
        writer = threading.Thread(target=sock.sendall, args=(words.encode(),))
        writer.start()
        try:
            assert receive(sock, len(words)).decode() == words.upper()
        finally:
            writer.join(PATIENCE)


def test_a_client_that_does_not_read_stalls_nobody_and_loses_nothing(server: Server) -> None:
    with connect(server.port) as slow, connect(server.port) as other:
        slow.setblocking(False)
        sent = stuck = 0
        # Full for good, once it stays full while another client has been served between two tries.
        while stuck < 3:
            try:
                sent += slow.send((b"abcdefgh" * 1000)[sent % 8 :])
                stuck = 0
            except BlockingIOError:
                assert ask(other, "and me?\n") == "AND ME?\n"
                stuck += 1
        slow.setblocking(True)
        slow.settimeout(PATIENCE)
        slow.shutdown(socket.SHUT_WR)
        answer = receive(slow, sent + 1)
        assert len(answer) == sent
        assert answer == (b"ABCDEFGH" * (sent // 8 + 1))[:sent]


def test_a_client_that_never_stops_talking_does_not_keep_the_others_waiting(server: Server) -> None:
    with connect(server.port) as greedy, connect(server.port) as other:
        done = threading.Event()

        def write() -> None:
            while not done.is_set():
                greedy.sendall(b"x" * 100_000)
            greedy.shutdown(socket.SHUT_WR)

        def read() -> None:
            while greedy.recv(1 << 20):
                pass

        threads = [threading.Thread(target=write), threading.Thread(target=read)]
        for thread in threads:
            thread.start()
        try:
            for number in range(20):
                assert ask(other, f"number {number}\n") == f"NUMBER {number}\n"
        finally:
            done.set()
            for thread in threads:
                thread.join(PATIENCE)


@pytest.mark.parametrize("path", ALL)
def test_who_has_said_everything_still_gets_the_answer(path: Path) -> None:
    with Server(path) as server, connect(server.port) as sock:
        sock.sendall(b"the last word, without a newline")
        sock.shutdown(socket.SHUT_WR)
        assert receive(sock, 100) == b"THE LAST WORD, WITHOUT A NEWLINE"


@pytest.mark.parametrize("path", ALL)
def test_a_client_that_vanishes_takes_nobody_along(path: Path) -> None:
    with Server(path) as server:
        for words in (b"", b"half a line", b"x" * 1_000_000):
            sock = connect(server.port)
            sock.setblocking(False)
            try:
                sock.send(words)
            finally:
                vanish(sock)
        with connect(server.port) as sock:
            assert ask(sock, "anybody home?\n") == "ANYBODY HOME?\n"
    assert "Traceback" not in server.errors


def test_every_descriptor_is_given_back(server: Server) -> None:
    with connect(server.port) as stays:
        assert ask(stays, "x") == "X"
        before = server.descriptors()
        with crowd(server.port, 20) as socks:
            for number, sock in enumerate(socks):
                assert ask(sock, "y") == "Y"
                if number % 2:
                    sock.sendall(b"never answered")
                    vanish(sock)
        assert ask(stays, "z") == "Z"
        assert server.becomes(lambda: server.descriptors() <= before)


@pytest.mark.parametrize("path", ALL)
def test_ctrl_c_ends_it_without_a_traceback(path: Path) -> None:
    with Server(path) as server, connect(server.port) as sock:
        assert ask(sock, "x") == "X"
        server.stop()
    assert server.process.returncode == 0
    assert server.output.endswith("stopped\n")
    assert server.errors == ""  # no ResourceWarning either: every socket was closed


@pytest.mark.parametrize("path", ALL)
def test_it_can_be_started_again_at_once_on_the_same_port(path: Path) -> None:
    with Server(path) as server, connect(server.port) as sock:
        assert ask(sock, "x") == "X"
        server.stop()  # it closes first: its end of the connection is now in TIME_WAIT
        assert receive(sock, 1) == b""
    with Server(path, port=server.port) as again, connect(again.port) as sock:
        assert ask(sock, "y") == "Y"


@pytest.mark.parametrize("path", ALL)
def test_a_port_that_is_taken_is_told_in_one_sentence(path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, str(path), "server", port],
            capture_output=True,
            text=True,
            env=environment(PYTHONWARNINGS=""),
            timeout=PATIENCE,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("sorry: [Errno 98] Address already in use")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("path", ALL)
def test_a_port_that_cannot_be_is_told_in_one_sentence(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path), "server", "65536"],
        capture_output=True,
        text=True,
        env=environment(PYTHONWARNINGS=""),
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (1, f"sorry: {NO_PORT}\n")


def test_only_polling_in_a_circle_is_busy_while_nobody_says_anything(server: Server) -> None:
    with crowd(server.port, 5) as socks:
        for sock in socks:
            assert ask(sock, "x") == "X"
        if "02_polling.py" in str(server.process.args):
            assert [server.state() for _ in range(20)] == ["R"] * 20
        else:
            assert server.falls_asleep()


def test_a_crowd(server: Server) -> None:
    polling = "02_polling.py" in str(server.process.args)  # which asks everybody, for each of them
    with crowd(server.port, 200 if polling else 1100) as socks:
        served = 0
        for sock in socks:
            try:
                served += ask(sock, "x") == "X"
            except ConnectionResetError:
                pass
        if "03_select.py" in str(server.process.args):
            # The descriptors below 1024, without stdin, stdout, stderr and the listener.
            assert served == 1020
            host, number = socks[0].getsockname()
            socks[0].close()
            server.said(f"{host}:{number} left")  # it may hear of the next one first
            with connect(server.port) as late:
                assert ask(late, "a place is free again") == "A PLACE IS FREE AGAIN"
        else:
            assert served == len(socks)


@pytest.mark.parametrize("poller", ["busy", "select", "poll", "epoll"])
@pytest.mark.parametrize("name", ["10_loopkit", "10_protocol"])
def test_the_last_chapter_runs_on_every_poller(name: str, poller: str) -> None:
    with Server(TUTORIAL / f"{name}.py", LOOPKIT_POLLER=poller) as server, crowd(server.port, 3) as socks:
        for sock in socks:
            assert ask(sock, "hello\n") == "HELLO\n"


@pytest.mark.parametrize("path", TIMED)
def test_who_is_silent_for_too_long_is_sent_home(path: Path) -> None:
    with Server(path, IDLE="0.2") as server, connect(server.port) as sock:
        assert ask(sock, "x") == "X"
        assert receive(sock, 1) == b""
        assert "silent" in server.said("silent")


@pytest.mark.parametrize("path", TIMED)
def test_running_out_of_descriptors_is_no_end_and_no_storm(path: Path) -> None:
    with Server(path, descriptors=30) as server:
        with crowd(server.port, 40) as socks:
            if path.stem != "10_protocol":  # there the loop says it, on stderr
                server.said("nobody is let in for a second")
            assert ask(socks[0], "x") == "X"
            assert server.falls_asleep()
        with connect(server.port) as late:
            assert ask(late, "and now?") == "AND NOW?"
    assert (server.output + server.errors).count("Too many open files") < 10


def test_without_timers_running_out_of_descriptors_is_a_storm() -> None:
    with Server(TUTORIAL / "06_callbacks.py", descriptors=30) as server:
        with crowd(server.port, 40) as socks:
            assert ask(socks[0], "x") == "X"
            for _ in range(1000):  # the same line again and again, as fast as it can print
                server.said("nobody let in")


@pytest.mark.parametrize("path", [param for param in ALL if param.values[0] in CHAPTERS])
def test_the_client_mode_talks_line_by_line(path: Path) -> None:
    with Server(path) as server:
        done = subprocess.run(
            [sys.executable, str(path), "client", "127.0.0.1", str(server.port)],
            input="hello\nwörld\n\nno newline at the end",
            capture_output=True,
            encoding="utf-8",
            env=environment(),
            timeout=PATIENCE,
        )
    assert done.stdout == "HELLO\nWÖRLD\n\nNO NEWLINE AT THE END\n"
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", ALL)
def test_bad_usage_shows_the_usage(path: Path) -> None:
    for arguments in ([], ["server"], ["server", "http"], ["waiter", "9898"]):
        done = subprocess.run(
            [sys.executable, str(path), *arguments], capture_output=True, text=True, env=environment()
        )
        assert done.returncode == 2
        assert f"python {path.name} server 9898" in done.stderr
