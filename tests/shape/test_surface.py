"""What programs can reach: the whole of asyncio's loop, and the names that loopkit exports."""

import asyncio
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

import loopkit
import loopkit.pollers
from tests.shape.source import PACKAGE, ROOT, files

# Named on the map as folders.
OPTIONAL = ("loopkit.bench", "loopkit.check", "loopkit.cli", "loopkit.sockets", "loopkit.testing")

METHODS = [
    name
    for name, value in vars(asyncio.AbstractEventLoop).items()
    if inspect.isfunction(value) and (not name.startswith("_") or name == "_timer_handle_cancelled")
]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_an_event_loop_is_there(name):
    assert getattr(loopkit.Loop, name) is not getattr(asyncio.AbstractEventLoop, name)


@pytest.fixture(scope="module")
def loop():
    loop = loopkit.Loop()
    yield loop
    loop.close()


def _parameters(function) -> Iterator[tuple[str, inspect.Parameter]]:
    parameters = list(inspect.signature(function).parameters.items())
    return iter(parameters[1:])  # without self


@pytest.mark.parametrize("name", [name for name in METHODS if name != "time"])
def test_every_method_takes_what_asyncio_takes(name, loop):
    ours = inspect.signature(getattr(loop, name)).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in ours.values())
    positional = [n for n, p in ours.items() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    documented = list(inspect.signature(getattr(asyncio.AbstractEventLoop, name)).parameters)[1:]
    place = 0
    for parameter_name, theirs in _parameters(getattr(asyncio.SelectorEventLoop, name)):
        if theirs.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            assert any(p.kind is theirs.kind for p in ours.values()), f"{name} takes no {theirs}"
            continue
        if parameter_name not in ours:
            if positional[place : place + 1] == documented[place : place + 1]:
                place += 1  # documented under another name than the one in the stdlib's source
                continue
            assert takes_any, f"{name} takes no {parameter_name}"
            continue
        if theirs.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            assert positional[place] == parameter_name
            place += 1
        if theirs.default is inspect.Parameter.empty or ours[parameter_name].default is None:
            continue
        assert ours[parameter_name].default == theirs.default, f"{name}: default of {parameter_name}"


@pytest.mark.parametrize("name", [name for name in METHODS if not name.startswith("_")])
def test_every_method_has_a_docstring_of_its_own(name):
    text = getattr(loopkit.Loop, name).__doc__
    assert text
    assert text != getattr(asyncio.AbstractEventLoop, name).__doc__


def test_all_is_complete():
    submodules = {module.name for module in pkgutil.iter_modules(loopkit.__path__)}
    # pytest rewrites packages that have a plugin, and leaves names with an "@" there.
    public = {name for name in vars(loopkit) if not name.startswith(("_", "@"))}
    public -= submodules | {"Any", "annotations"}
    lazy = {"EventLoopPolicy"}
    assert set(loopkit.__all__) == public | lazy
    assert len(loopkit.__all__) == len(set(loopkit.__all__))


def test_all_of_the_pollers_is_complete():
    classes = {poller.__name__ for poller in loopkit.pollers.POLLERS.values()}
    assert set(loopkit.pollers.__all__) == classes | {"POLLERS", "best", "named"}


def test_every_public_name_exists_and_has_a_docstring():
    for name in loopkit.__all__:
        assert inspect.getdoc(getattr(loopkit, name)), name


def test_every_public_name_is_in_the_reference():
    page = (ROOT / "docs/reference/api.md").read_text()
    documented = set(re.findall(r"^\.\. auto(?:class|function):: loopkit\.(\w+)$", page, re.MULTILINE))
    assert documented == set(loopkit.__all__)


def test_every_source_file_is_on_the_map():
    page = (ROOT / "docs/explanation/map-of-the-source.md").read_text()
    named = set(re.findall(r"`([\w/]+\.py)`", page))
    packages = {
        "net/__init__.py",
        "transports/__init__.py",
        "processes/__init__.py",
        "diagnostics/__init__.py",
    }
    there = {
        str(path.relative_to(PACKAGE)) for name, path in files().items() if not name.startswith(OPTIONAL)
    }
    assert there - packages - {"__init__.py", "__main__.py"} == named


@pytest.mark.parametrize("package", ["loopkit", "loopkit.diagnostics", "loopkit.testing"])
def test_no_public_name_is_that_of_a_file(package):
    """Who imports the file puts it in the place of the name, for everybody."""
    module = importlib.import_module(package)
    names = {found.name for found in pkgutil.iter_modules(module.__path__)}
    assert [
        name for name in module.__all__ if name in names and not inspect.ismodule(getattr(module, name))
    ] == []


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'loopkit' has no attribute 'nothing'"):
        loopkit.nothing  # noqa: B018


def test_a_star_import_gives_every_name():
    code = "import loopkit; from loopkit import *; assert set(loopkit.__all__) <= set(globals())"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_version_is_that_of_the_distribution():
    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{loopkit.__version__}"' in text
    assert f"version: {loopkit.__version__}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize("name", sorted(loopkit.pollers.POLLERS))
def test_every_poller_has_a_loop_class_that_needs_no_argument(name):
    cls = getattr(loopkit, f"{name.capitalize()}Loop")
    loop = cls()
    try:
        assert loop.poller_name == name
    finally:
        loop.close()
