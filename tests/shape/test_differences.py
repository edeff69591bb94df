"""The page of differences: each entry names a test that holds it, and the test is there."""

import re

import pytest

from tests.shape.source import ROOT

PAGE = ROOT / "docs" / "explanation" / "differences.md"

#: An entry is a paragraph that begins with its claim; the last line names the test.
ENTRIES = [part.strip() for part in PAGE.read_text().split("\n\n") if part.startswith("**")]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: re.match(r"\*\*(.{,60})", entry)[1])
def test_every_difference_has_its_test(entry):
    named = re.fullmatch(r"Test: `([\w/]+\.py)::(test_\w+)`\.", entry.splitlines()[-1])
    assert named is not None, "its last line must be: Test: `unit/test_file.py::test_name`."
    file, name = named.groups()
    source = (ROOT / "tests" / file).read_text()
    assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{file} has no {name}"


def test_there_are_entries():
    assert len(ENTRIES) > 30
