"""Examining many servers takes time, most of it spent waiting: a process examines three at once, in the order
of the tests, and each test waits for its own.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.check.examinations import SOURCE, named

# Seconds that one examination may take, and those before it in the queue: ten times what it is where nothing
# else goes on.
LIMIT = 600.0


@pytest.fixture(scope="session")
def verdict(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., tuple[int, dict[str, Any]]]]:
    """A function: program, whether it is a client -> (exit code, JSON result) of its examination."""
    folder = tmp_path_factory.mktemp("verdicts")
    command = [sys.executable, "-m", "tests.check.examinations", str(folder)]
    with subprocess.Popen(command, cwd=SOURCE, start_new_session=True) as examining:

        def wait_for(path: Path, client: bool = False) -> tuple[int, dict[str, Any]]:
            file = folder / named(path, client)
            end = time.monotonic() + LIMIT
            while not file.exists():
                assert examining.poll() in (None, 0), "the examinations have failed"
                assert time.monotonic() < end, f"no verdict on {path.stem}"
                time.sleep(0.02)
            code, result = json.loads(file.read_text())
            return code, result

        yield wait_for
        if examining.poll() is None:
            os.killpg(examining.pid, signal.SIGTERM)  # the checkers then end their servers
