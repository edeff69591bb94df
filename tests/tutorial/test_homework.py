"""The clients of the homework, and the tools that everybody has: can one talk with them?

What the servers do is asked in test_servers.py, with the servers of the chapters.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.pythons import program
from tests.tutorial.programs import HOMEWORK, PATIENCE, TUTORIAL, Server, environment

SOLUTIONS = [program(path) for path in sorted(HOMEWORK.glob("[0-9]*.py"))]


@contextmanager
def typing(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A program whose keyboard and screen the test holds."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", bufsize=1, env=environment()
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def client_of(path: Path, server: Server) -> list[str]:
    return [sys.executable, str(path), "client", "127.0.0.1", str(server.port)]


def say(process: "subprocess.Popen[str]", line: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    process.stdin.flush()
    return process.stdout.readline()


@pytest.mark.parametrize("path", SOLUTIONS)
def test_the_client_answers_each_line_as_it_is_typed(path: Path) -> None:
    with (
        Server(path) as server,
        typing(sys.executable, str(path), "client", "127.0.0.1", str(server.port)) as client,
    ):
        assert say(client, "hello\n") == "HELLO\n"
        assert say(client, "grüß dich\n") == "GRÜSS DICH\n"
        assert client.stdin is not None
        client.stdin.close()  # Ctrl-D
        assert client.wait(PATIENCE) == 0


@pytest.mark.parametrize("path", SOLUTIONS)
def test_the_client_hears_that_the_server_has_gone_while_nobody_types(path: Path) -> None:
    with (
        Server(path) as server,
        typing(sys.executable, str(path), "client", "127.0.0.1", str(server.port)) as client,
    ):
        assert say(client, "x\n") == "X\n"
        server.stop()
        assert client.wait(PATIENCE) == 0


@pytest.mark.parametrize("path", SOLUTIONS)
def test_the_client_can_be_fed_with_a_file(path: Path, tmp_path: Path) -> None:
    # More than the kernel's buffers hold: it has to listen while it still waits to be able to speak.
    words = "".join(f"line {number}\n" for number in range(1_000_000))
    (tmp_path / "words").write_text(words)
    with Server(path) as server, open(tmp_path / "words") as file:
        done = subprocess.run(
            client_of(path, server),
            stdin=file,
            capture_output=True,
            text=True,
            env=environment(),
            timeout=PATIENCE,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == words.upper()


@pytest.mark.parametrize("path", SOLUTIONS)
def test_the_client_ends_in_one_line_if_the_server_dies_while_it_speaks(path: Path) -> None:
    with (
        Server(path) as server,
        open("/dev/zero", "rb") as endless,
        subprocess.Popen(
            client_of(path, server),
            stdin=endless,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as client,
    ):
        assert client.stdout is not None
        try:
            client.stdout.read(1_000_000)
            server.stop()
            _, errors = client.communicate(timeout=PATIENCE)
        finally:
            client.kill()
    assert client.returncode in (0, 1)
    assert errors in (b"", b"sorry: [Errno 104] Connection reset by peer\n")


@pytest.mark.parametrize("path", SOLUTIONS)
def test_a_client_without_a_server_says_so(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path), "client", "127.0.0.1", "1"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (1, "sorry: [Errno 111] Connection refused\n")


@pytest.mark.parametrize("path", [*SOLUTIONS, pytest.param(TUTORIAL / "05_epoll.py", id="05_epoll")])
@pytest.mark.parametrize("tool", ["nc", "telnet"])
def test_one_can_talk_with_the_common_tools(path: Path, tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    with Server(path) as server, typing(tool, "127.0.0.1", str(server.port)) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write("hello\n")
        client.stdin.flush()
        assert any(line.rstrip() == "HELLO" for line in client.stdout)  # telnet tells more before
