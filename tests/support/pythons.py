"""What a test needs of the Python it runs on, by marks that say so."""

import gc
import os
import select
import sys
from pathlib import Path
from typing import Any

import pytest

PYPY = sys.implementation.name == "pypy"


def cpython_only(reason: str) -> pytest.MarkDecorator:
    """Skip on PyPy, and say why: what there is about CPython that the test asks about."""
    return pytest.mark.skipif(PYPY, reason=f"of CPython alone: {reason}")


#: Who drops the last reference wants to see the object go at once. PyPy collects when it likes.
counts_references = cpython_only("an object goes with the last reference to it")


def collect() -> None:
    """Have all go that nobody holds. PyPy goes from one finalizer to the next whenever it is asked."""
    for _ in range(5 if PYPY else 1):
        gc.collect()


def drop() -> None:
    """What nobody holds has gone: on CPython at once, so that nothing is done to help it there."""
    if PYPY:
        collect()


receives_nothing_at_once = cpython_only(
    "recv(0) is answered by Python itself; PyPy's asks the kernel, and waits"
)

#: PyPy has none of these.
needs_eventfd = pytest.mark.skipif(not hasattr(os, "eventfd"), reason="no eventfd here; PyPy has none")
needs_rdhup = pytest.mark.skipif(
    not hasattr(select, "EPOLLRDHUP"), reason="no name for EPOLLRDHUP here; PyPy has none"
)
needs_pidfd = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"),
    reason="no pidfd here: a thread waits for each child, and holds its transport",
)

#: PyPy sets the locale when it starts, and does not start where the system has not got it.
needs_no_locale = cpython_only("it starts in a locale that is not installed")

#: What select() says of descriptor 1024.
OUT_OF_RANGE = f"file{' ' if PYPY else ''}descriptor out of range in select()"
#: What bind() says of port 65536.
NO_PORT = f"{'' if PYPY else 'bind(): '}port must be 0-65535."
#: What join() says of a str among bytes.
NOT_BYTES = f"expected {'bytes' if PYPY else 'a bytes-like object'}, str found"

_USES = {
    "2_async_def": needs_eventfd,
    "09_hundred_lines": needs_eventfd,
    "foreign_await": needs_eventfd,
    "event_equals": needs_rdhup,
    "half-close__hangs_up_at_rdhup": needs_rdhup,
}


def program(path: Path) -> Any:
    """A program as a parameter of a test, skipped where Python has not got what it uses."""
    return pytest.param(path, id=path.stem, marks=_USES.get(path.stem, ()))
