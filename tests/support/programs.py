"""Whole programs in a child process, for what cannot be tried inside the test process: fork, Ctrl-C, exit."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Seconds. A program that takes longer hangs.
LIMIT = 20.0


def start_program(loop_name: str, code: str, **popen: object) -> "subprocess.Popen[str]":
    """Start Python on `code`, in which `new_loop()` makes a loop of that name and asyncio is imported.

    Its output arrives unbuffered on pipes; the caller waits for it and closes it (it is a context manager).
    """
    prelude = f"""
import asyncio
from tests.support.loops import OURS, THEIRS
new_loop = {{**OURS, **THEIRS}}[{loop_name!r}]
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment.pop("PYTHONDEVMODE", None)
    return subprocess.Popen(
        [sys.executable, "-c", prelude + textwrap.dedent(code)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,  # type: ignore[call-overload]
    )


def run_program(loop_name: str, code: str) -> tuple[int, str, str]:
    """Run Python on `code` to its end: return code (negative: killed by that signal), stdout, stderr."""
    with start_program(loop_name, code) as process:
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"the program hangs; so far it said:\n{out}\n{err}") from None
        return process.returncode, out, err
