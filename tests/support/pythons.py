"""What a test needs of the Python it runs on, by marks that say so."""

import sys

import pytest

PYPY = sys.implementation.name == "pypy"


def cpython_only(reason: str) -> pytest.MarkDecorator:
    """Skip on PyPy, and say why: what there is about CPython that the test asks about."""
    return pytest.mark.skipif(PYPY, reason=f"of CPython alone: {reason}")


#: Who drops the last reference wants to see the object go at once. PyPy collects when it likes.
counts_references = cpython_only("an object goes with the last reference to it")
