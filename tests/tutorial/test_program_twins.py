"""The tutorial's programs exist with English and with Chinese comments: are they the same programs?"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from tests.tutorial.programs import ROOT

EXAMPLES = ROOT / "examples"
CHINESE = EXAMPLES / "zh"
PROGRAMS = [
    pytest.param(path, id=str(path.relative_to(EXAMPLES)))
    for pattern in (
        "tutorial/[0-9]*.py",
        "tutorial/faults/*.py",
        "tutorial/common.py",
        "tutorial/tinyloop.py",
        "tutorial/hundred_lines.py",
        "homework/[0-9]*.py",
        "course/*_as_printed.py",
        "course/*_repaired.py",
    )
    for path in sorted(EXAMPLES.glob(pattern))
]


def twin_of(path: Path) -> Path:
    return CHINESE / path.relative_to(EXAMPLES)


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code(path: Path) -> str:
    """The program without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def words(path: Path) -> list[str]:
    """Its comments and docstrings, each by itself."""
    text = path.read_text(encoding="utf-8")
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and "noqa" not in token.string
    ]
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, DOCUMENTED)]
    docstrings = [ast.get_docstring(node) for node in nodes]
    return comments + [docstring for docstring in docstrings if docstring]


@pytest.mark.parametrize("path", PROGRAMS)
def test_both_are_the_same_program(path: Path) -> None:
    assert code(path) == code(twin_of(path))


def usages(path: Path) -> list[str]:
    """The commands in what it says."""
    return re.findall(r"(?:IDLE=\d+ )?python \S+\.py.*", "\n".join(words(path)))


@pytest.mark.parametrize("path", PROGRAMS)
def test_all_that_is_said_is_said_in_chinese_and_the_commands_are_the_same(path: Path) -> None:
    assert [text for text in words(twin_of(path)) if not re.search("[\u4e00-\u9fff]", text)] == []
    assert bool(words(path)) == bool(words(twin_of(path)))
    assert usages(path) == usages(twin_of(path))


def test_no_twin_is_alone() -> None:
    wanted = {twin_of(param.values[0]) for param in PROGRAMS}  # type: ignore[arg-type]
    assert set(CHINESE.rglob("*.py")) == wanted


def test_the_list_of_the_examples_has_them_all() -> None:
    listed = set(re.findall(r"\]\(([\w./]+)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8")))
    there = {path.name for path in EXAMPLES.iterdir() if path.name not in ("README.md", "__pycache__")}
    assert there - listed == set()
