"""Each attempt at a test is one of its own, where a failed test is tried again.

pytest-rerunfailures makes its attempts within one `pytest_runtest_protocol`, around which pytest-timeout sets
its timer: a test that has hung once would be tried again without a limit, and where it hangs again nothing
ends it.
"""

from typing import Any

import pytest

#: That an attempt at this test has failed.
FAILED = pytest.StashKey[bool]()

_TIME_LIMIT = pytest.StashKey[Any]()


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    item.stash[_TIME_LIMIT] = settings


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[FAILED] = False
    if getattr(item, "execution_count", 1) > 1 and _TIME_LIMIT in item.stash:
        item.ihook.pytest_timeout_cancel_timer(item=item)
        item.ihook.pytest_timeout_set_timer(item=item, settings=item.stash[_TIME_LIMIT])
