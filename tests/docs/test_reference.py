"""Does the reference show what is for users, and nothing else?

Run by `tox -e docs` once the pages are built, as `test_search.py`.
"""

import os
import re
from pathlib import Path

import pytest

if "LOOPKIT_SITE" not in os.environ:
    pytest.skip("needs the built pages: tox -e docs", allow_module_level=True)

SITE = Path(os.environ["LOOPKIT_SITE"])
SOURCE = Path(__file__).parents[2] / "docs" / "reference" / "testing.md"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_world_has_the_methods_that_its_page_names(language: str) -> None:
    page = (SITE / language / "reference" / "testing.html").read_text(encoding="utf-8")
    shown = re.findall(r'id="loopkit\.testing\.World\.(\w+)"', page)
    named = re.search(r"loopkit\.testing\.World\(\)\n +:members: (.*)", SOURCE.read_text(encoding="utf-8"))
    assert named is not None
    assert sorted(shown) == sorted(named[1].split(", "))
