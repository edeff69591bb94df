"""Every trick is explained, and every explanation is of a trick that is still there."""

import re

from tests.shape.source import ROOT, files
from tests.shape.test_budgets import HOT

PAGE = ROOT / "docs/explanation/performance.md"
TAG = re.compile(r"# fast: .*?; see performance\.md#([\w-]+)$")


def tags():
    """(module, line, anchor or None) of every trick in the source."""
    for module, path in files().items():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "# fast:" in line:
                found = TAG.search(line)
                yield module, number, found.group(1) if found else None


def entries():
    """Anchor -> text, of the page that explains them."""
    parts = re.split(r"^\(([\w-]+)\)=$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_trick_names_its_explanation():
    assert [place for *place, anchor in tags() if anchor is None] == []


def test_tricks_live_in_hot_files_only():
    assert {module for module, *_ in tags()} <= HOT


def test_every_trick_is_explained_and_every_explanation_has_its_trick():
    assert {anchor for *_, anchor in tags()} == set(entries())


def test_every_explanation_has_the_same_four_parts():
    for anchor, text in entries().items():
        for part in ("**Plain**", "**Fast**", "**Why**", "**Guard**"):
            assert part in text, f"{anchor} lacks {part}"


def test_every_guard_exists():
    for anchor, text in entries().items():
        guards = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text.partition("**Guard**")[2])
        assert guards, f"{anchor} names no test"
        for path, name in guards:
            source = (ROOT / path).read_text()
            assert f"def {name}" in source, f"{anchor}: no {name} in {path}"
