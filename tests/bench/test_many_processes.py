"""Does examples/many_processes.py serve one port with several processes, and end them all?"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import is_running

PROGRAM = Path(__file__).parents[2] / "examples" / "many_processes.py"
LOOPS = ["", "loopkit:Loop"]


@contextmanager
def serving(loop: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int], set[int]]]:
    """The program with two processes: itself, its address, the numbers of the two."""
    command = [sys.executable, str(PROGRAM), "--port", "0", "--processes", "2", "--loop", loop]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            said = [program.stdout.readline().split() for _ in range(2)]
            host, _, port = said[0][4].rpartition(":")
            yield program, (host, int(port)), {int(words[1]) for words in said}
        finally:
            program.terminate()


def ask(address: tuple[str, int]) -> int:
    """Which process answers."""
    with socket.create_connection(address, timeout=10) as client, client.makefile("rb") as incoming:
        client.sendall(b"who?\n")
        return int(incoming.readline().split()[1].rstrip(b","))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_processes_answer_and_both_end(loop: str, number: signal.Signals) -> None:
    with serving(loop) as (program, address, processes):
        # One in 2**40 times, all visitors hash to the same process.
        assert {ask(address) for _ in range(40)} == processes
        program.send_signal(number)
        _, errors = program.communicate(timeout=20)
        assert program.returncode == 0
        assert errors == ""
        assert not any(map(is_running, processes))


def test_if_one_dies_the_others_are_stopped_and_the_exit_code_says_so() -> None:
    with serving("loopkit:Loop") as (program, _, processes):
        os.kill(processes.pop(), signal.SIGKILL)
        _, errors = program.communicate(timeout=20)
        assert program.returncode == 1
        assert errors == ""
        assert not any(map(is_running, processes))
