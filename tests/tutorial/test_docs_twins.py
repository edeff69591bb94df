"""Do a page and its twin in the other language say the same things, and true ones?

The front page and the tutorial exist in both; so do the other pages that students meet.

The sentences are written for each language by itself. What must agree is what a reader compares or copies:
the headings and their levels, the code, the tables, the pictures, the numbers.
"""

import ast
import asyncio
import re
from pathlib import Path

import pytest

from tests.tutorial.programs import ROOT, TUTORIAL

DOCS = ROOT / "docs"
CHAPTERS = sorted((DOCS / "tutorial").glob("*.md"))
CHINESE = sorted((DOCS / "zh").rglob("*.md"))
ENGLISH = [DOCS / page.relative_to(DOCS / "zh") for page in CHINESE]
PAGES = [pytest.param(page, id=page.stem) for page in ENGLISH]

FENCE = re.compile(r"^```(\S*)(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (?:(\d+)\.)?", re.MULTILINE)
PLACE = re.compile(r"^\| `(loopkit/\S+\.py)` \| `(\w+)` \|", re.MULTILINE)


def twin_of(page: Path) -> Path:
    return DOCS / "zh" / page.relative_to(DOCS)


def prose(page: Path) -> str:
    """The page without its code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def code(page: Path) -> list[tuple[str, str, str]]:
    """Every block of code: its kind, its argument, its text. Of a picture in words, only that it is there."""
    blocks = []
    for kind, argument, text in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind == "text":
            text = ""
        if kind == "{toctree}":  # tests/docs looks at the sidebars
            continue
        argument = argument.replace("examples/zh/", "examples/")
        text = text.replace("examples/zh/", "examples/")
        text = text.replace(" --lang zh", "")
        if kind == "{raw}":
            text = text.replace("#lang=zh", "#lang=en")  # the player speaks its page's language
        blocks.append((kind, argument.replace("../", ""), text.replace("../", "")))
    return blocks


def numbers(text: str) -> list[list[str]]:
    """The numeric cells of each row of the tables; English has a comma in thousands, Chinese has none."""
    rows = (line for line in text.splitlines() if line.startswith("| "))
    return [re.findall(r"(?<=\| )[\d.]+(?= \|)", row.replace(",", "")) for row in rows]


def test_every_page_has_its_twin_and_no_twin_is_alone() -> None:
    assert [page for page in ENGLISH if not page.is_file()] == []
    assert [page for page in (DOCS / "index.md", *CHAPTERS) if not twin_of(page).is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_twins_have_the_same_headings(page: Path) -> None:
    assert HEADING.findall(prose(page)) == HEADING.findall(prose(twin_of(page)))


@pytest.mark.parametrize("page", PAGES)
def test_twins_have_the_same_code(page: Path) -> None:
    assert code(page) == code(twin_of(page))


@pytest.mark.parametrize("page", PAGES)
def test_twins_have_the_same_numbers_in_their_tables(page: Path) -> None:
    assert numbers(prose(page)) == numbers(prose(twin_of(page)))


@pytest.mark.parametrize("page", PAGES)
def test_twins_show_the_same_pictures_each_in_its_language(page: Path) -> None:
    ours = re.findall(r"!\[[^]]+\]\(([^)]+)\)", prose(page))
    theirs = re.findall(r"!\[[^]]+\]\(([^)]+)\)", prose(twin_of(page)))
    assert [re.sub(r"(\.\w+)$", r".zh\1", Path(picture).name) for picture in ours] == [
        Path(picture).name for picture in theirs
    ]
    for home, pictures in ((page, ours), (twin_of(page), theirs)):
        for picture in pictures:
            assert (home.parent / picture).is_file()


@pytest.mark.parametrize("page", PAGES)
def test_twins_link_to_each_other(page: Path) -> None:
    assert re.search(r"^\[中文\]\((.+)\)$", prose(page), re.MULTILINE)
    assert re.search(r"^\[English\]\((.+)\)$", prose(twin_of(page)), re.MULTILINE)


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_the_places_in_loopkit_exist(page: Path) -> None:
    places = PLACE.findall(prose(page))
    assert places
    assert places == PLACE.findall(prose(twin_of(page)))
    for file, name in places:
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text(encoding="utf-8")), f"{file} has no {name}"


@pytest.mark.parametrize("page", PAGES)
def test_what_is_included_exists(page: Path) -> None:
    for kind, argument, text in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind != "{literalinclude}":
            continue
        source = (page.parent / argument.strip()).resolve()
        assert source.is_file()
        options = dict(re.findall(r"^:([\w-]+): (.+)$", text, re.MULTILINE))
        assert options, "a whole file is included: say which part, or which difference"
        if "diff" in options:
            assert (page.parent / options["diff"]).is_file()


@pytest.mark.parametrize("page", PAGES)
def test_no_english_punctuation_between_chinese_characters(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)", "", prose(twin_of(page)))
    assert re.findall(r"[\u4e00-\u9fff][,;:?!][\u4e00-\u9fff\s]", text) == []


@pytest.mark.parametrize("page", PAGES)
def test_no_chinese_paragraph_is_broken_into_lines(page: Path) -> None:
    """The end of a line would be a space in the middle of a sentence."""
    broken = r"[\u4e00-\u9fff，。；：、）]\n[\u4e00-\u9fff`（*]"  # noqa: RUF001 - Chinese punctuation
    assert re.findall(broken, prose(twin_of(page))) == []


@pytest.mark.parametrize(
    ("chapter", "file", "name", "lines", "claim"),
    [
        ("05-epoll", "05_epoll.py", "serve", 31, "thirty-one lines"),
        (
            "07-timers",
            "01_blocking.py",
            "talk",
            14,
            "one function, from top to bottom | 14 |",
        ),
        (
            "07-timers",
            "06_callbacks.py",
            "Client",
            45,
            "four methods and six attributes | 45 |",
        ),
        (
            "07-timers",
            "07_timers.py",
            "Client",
            50,
            "four methods and seven attributes | 50 |",
        ),
        ("08-coroutines", "08_async_def.py", "talk", 14, "the fourteen lines of chapter 1"),
    ],
)
def test_what_the_pages_count_is_so(chapter: str, file: str, name: str, lines: int, claim: str) -> None:
    assert claim in prose(DOCS / "tutorial" / f"{chapter}.md")
    tree = ast.parse((TUTORIAL / file).read_text(encoding="utf-8"))
    node = next(node for node in tree.body if getattr(node, "name", None) == name)
    assert (node.end_lineno or 0) - node.lineno + 1 == lines


def test_the_hundred_lines_have_as_many_of_asyncios_methods_as_the_page_says() -> None:
    tree = ast.parse((TUTORIAL / "hundred_lines.py").read_text(encoding="utf-8"))
    loop = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    ours = {node.name for node in loop.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    theirs = {name for name in vars(asyncio.AbstractEventLoop) if not name.startswith("_")}
    assert f"It has {len(ours & theirs)} of the {len(theirs)} methods" in prose(
        DOCS / "tutorial" / "09-hundred-lines.md"
    )


def test_the_table_of_what_was_measured_when_agrees_with_the_pages() -> None:
    page = DOCS / "explanation" / "models.md"
    _, _, table = page.read_text(encoding="utf-8").partition("## What was measured when\n")
    rows = re.findall(r"^\| \[[^]]+\]\(([^)#]+)\S*\).*? \| ([-\d, ]+) \|", table, re.MULTILINE)
    assert len(rows) >= 7
    for target, dates in rows:
        text = (page.parent / target).read_text(encoding="utf-8")
        assert [date for date in dates.split(", ") if date not in text] == [], target


def test_both_glossaries_explain_the_same_words_in_the_same_order() -> None:
    english = re.findall(r"^(.+)\n: ", (DOCS / "reference" / "glossary.md").read_text(), re.MULTILINE)
    chinese = (DOCS / "zh" / "reference" / "glossary.md").read_text(encoding="utf-8")
    assert re.findall(r"（([^）]+)）\n: ", chinese) == english  # noqa: RUF001 - Chinese punctuation
