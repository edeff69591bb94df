"""Does CPython's own asyncio test suite pass on every loop of ours?"""

import functools

import pytest

from . import parent
from .modules import MODULES, available
from .targets import OURS

try:
    THERE = available()
except LookupError as error:
    pytest.skip(str(error), allow_module_level=True)


@functools.cache
def scores(loop: str) -> dict[str, parent.ModuleScore]:
    """All modules with one loop, run once, two workers at a time."""
    return {score.module: score for score in parent.run([loop], THERE, parent.Options())}


@pytest.mark.timeout(
    0
)  # the first test of a loop waits for all its modules; each of CPython's tests has its own limit
@pytest.mark.parametrize("loop", OURS)
@pytest.mark.parametrize("module", MODULES)
def test_cpythons_tests_pass(loop: str, module: str) -> None:
    if module not in THERE:
        pytest.skip(f"this Python has no {module}")
    failed = scores(loop)[module].failed
    assert not failed, "".join(f"\n{test}\n    {reason}" for test, reason in failed.items())
