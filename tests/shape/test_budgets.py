"""Sizes. Beyond them a file is split by what it is about."""

import pytest

from tests.shape.source import PACKAGE, body_lines, files, functions, tree

FILE = 400
HOT_FILE = 650
FUNCTION = 50
TURN = 130

# The files where tricks are allowed: they say so in their first line.
HOT = {
    "loopkit.transports.datagram",
    "loopkit.loop",
    "loopkit.handles",
    "loopkit.transports.stream",
    "loopkit.net.accepting",
    "loopkit.net.sockets",
    "loopkit.tasks",
    "loopkit.tls.transport",
}


def docstring_lines(path):
    """Lines of the essay a file opens with: it is there to make the rest shorter to read."""
    body = tree(path).body
    if body and hasattr(body[0], "value") and isinstance(getattr(body[0].value, "value", None), str):
        return body[0].end_lineno
    return 0


@pytest.mark.parametrize("module", files())
def test_files_can_be_read_in_one_sitting(module):
    path = files()[module]
    lines = len(path.read_text().splitlines()) - docstring_lines(path)
    assert lines <= (HOT_FILE if module in HOT else FILE)


@pytest.mark.parametrize("module", files())
def test_functions_fit_on_a_screen(module):
    for function in functions(files()[module]):
        limit = TURN if (module, function.name) == ("loopkit.loop", "_turns") else FUNCTION
        assert body_lines(function) <= limit, f"{module}.{function.name}"


def test_hot_files_say_so():
    said = {name for name, path in files().items() if " HOT" in path.read_text().partition("\n\n")[0]}
    assert said == HOT


def test_there_is_no_drawer_for_everything():
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert names.isdisjoint({"util", "utils", "helpers", "common", "misc"})


@pytest.mark.parametrize("module", files())
def test_every_file_says_what_it_owns(module):
    path = files()[module]
    if path.read_text().strip():
        assert docstring_lines(path), f"{path} has no docstring"
