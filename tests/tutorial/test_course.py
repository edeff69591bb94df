"""The course's three servers: does each fault show as its page says, and is it gone from the repaired one?"""

import importlib.util
import re
import resource
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.pythons import OUT_OF_RANGE, PYPY
from tests.tutorial.programs import ROOT

COURSE = ROOT / "examples" / "course"
PAGES = [
    ROOT / "docs" / "tutorial" / "12-course-servers.md",
    ROOT / "docs" / "zh" / "tutorial" / "12-course-servers.md",
]

ON_THE_PAGES = "filedescriptor out of range in select()"

spec = importlib.util.spec_from_file_location("course_show", COURSE / "show.py")
assert spec is not None
assert spec.loader is not None
show = importlib.util.module_from_spec(spec)
spec.loader.exec_module(show)

FAULTS = [
    pytest.param(model, fault, id=f"{model}-{fault.__name__}")
    for model in show.SHOWN
    for fault in show.SHOWN[model]
]


@pytest.fixture(autouse=True)
def as_many_descriptors_as_may_be() -> Iterator[None]:
    """1100 clients are 1100 descriptors here, too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    show.raise_limit()
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def printed(page_text: str, model: str, fault: str) -> list[str]:
    """What the page shows as the two outputs for this situation."""
    shown = re.search(
        rf"^{model}: {re.escape(fault)}\n    as printed: (.*)\n    repaired:   (.*)$", page_text, re.MULTILINE
    )
    assert shown, f"the page does not show {model}: {fault}"
    return list(shown.groups())


def shape(outcome: str) -> str:
    """Megabytes and percentages depend on the kernel's buffers: whether there is one counts."""
    return re.sub(r"\b(?!0 MB)\d+( MB|%)", r"N\1", outcome)


@pytest.mark.timeout(120)  # eleven hundred clients, twice
@pytest.mark.parametrize(("model", "fault"), FAULTS)
def test_each_fault_shows_as_both_pages_say_and_is_gone_afterwards(model: str, fault: Any) -> None:
    if PYPY and fault.__name__ == "never_reads":
        pytest.skip("of CPython alone: PyPy takes memory for its compiler meanwhile")
    seen = [outcome.replace(OUT_OF_RANGE, ON_THE_PAGES) for outcome in show.show(model, fault)]
    for page in PAGES:
        expected = printed(page.read_text(encoding="utf-8"), model, fault.__doc__)
        assert [shape(outcome) for outcome in seen] == [shape(outcome) for outcome in expected]
    if fault.__name__ != "nobody_there":  # that one is the model's, and cannot be repaired
        assert seen[0] != seen[1]
