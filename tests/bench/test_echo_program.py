"""Is examples/echo.py what it says: a program of plain asyncio that a newcomer can run?"""

import ast
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ECHO = Path(__file__).parents[2] / "examples" / "echo.py"


def test_it_imports_asyncio_and_nothing_of_loopkit() -> None:
    imports = [
        node
        for node in ast.walk(ast.parse(ECHO.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    assert "asyncio" in names
    assert names <= set(sys.stdlib_module_names)
    assert all(node.module in sys.stdlib_module_names for node in imports if isinstance(node, ast.ImportFrom))


@pytest.mark.parametrize("mode", ["protocol", "streams", "sock"])
def test_it_echoes_and_stops_with_ctrl_c(mode: str) -> None:
    command = [sys.executable, str(ECHO), "--mode", mode, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[2]
        host, port = address.split(":")
        message = bytes(range(256)) * 4000
        with (
            socket.create_connection((host, int(port)), timeout=10) as client,
            client.makefile("rb") as incoming,
        ):
            for piece in (message[:1], message[1:500], message[500:]):
                client.sendall(piece)
                assert incoming.read(len(piece)) == piece
            client.shutdown(socket.SHUT_WR)
            assert incoming.read() == b""
        # A client that vanishes in the middle does not stop the server, nor does it complain.
        rude = socket.create_connection((host, int(port)), timeout=10)
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        rude.sendall(b"x")
        rude.close()
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(b"still there?")
            assert client.recv(100) == b"still there?"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert errors == ""
    assert process.returncode == 0
