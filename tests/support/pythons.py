"""What a test needs of the Python it runs on, by marks that say so."""

import gc
import os
import sys

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

#: PyPy has none, too.
needs_pidfd = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"),
    reason="no pidfd here: a thread waits for each child, and holds its transport",
)
