"""What ``explore`` and ``replay`` share: their options, the test that is meant, the report."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from loopkit.cli.options import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Options", "check_trace", "found", "options", "target"]


class Options(NamedTuple):
    """What the command line says; None where it says nothing."""

    words: tuple[str, ...] = ()
    seeds: int | None = None
    seed: int | None = None
    level: str | None = None
    strategy: str | None = None
    save: str | None = None
    trace: str | None = None


def options(argv: list[str], verb: str, known: tuple[str, ...]) -> Options | None:
    """What *argv* says, of the options that are *known*; None for ``--help``. Raises UsageError."""
    rest = list(argv)
    words: list[str] = []
    found: dict[str, Any] = {}
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            return None
        if not word.startswith("-"):
            words.append(word)
            continue
        key = name.removeprefix("--")
        if key not in known:
            raise UsageError(f"{verb} does not understand {word!r}; see loopkit {verb} --help")
        if not equals:
            if not rest:
                raise UsageError(f"{name} needs a value")
            value = rest.pop(0)
        if key in ("seeds", "seed") and (not value.isdecimal() or (key == "seeds" and not int(value))):
            raise UsageError(f"{name} needs a number, not {value!r}")
        found[key] = int(value) if key in ("seeds", "seed") else value
    return Options(tuple(words), **found)


def check_trace(name: str | None) -> None:
    """Raise UsageError if a trace cannot be written as *name*: before anything has run."""
    from loopkit.diagnostics.files import check_name

    try:
        if name is not None:
            check_name(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def target(name: str, verb: str) -> tuple[Callable[[], Any], dict[str, Any]]:
    """The async function that ``FILE::name`` or ``FILE::Class::name`` means, and what its marker says.

    Raises UsageError.
    """
    file, *names = name.split("::")
    if not names:
        raise UsageError(f"{verb} needs the name of a test, too: {file}::test_something")
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"there is no file {file!r}")
    sys.path.insert(0, str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    thing: Any = module
    for part in names:
        if not hasattr(thing, part):
            raise UsageError(f"{file} has no {'::'.join(names)!r}")
        thing = getattr(thing, part)
        if inspect.isclass(thing):
            thing = thing()
    if not inspect.iscoroutinefunction(thing):
        raise UsageError(f"{name} is no async function")
    needed = [
        parameter.name
        for parameter in inspect.signature(thing).parameters.values()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if needed:
        raise UsageError(f"{name} needs {', '.join(needed)}: let pytest explore it (@pytest.mark.loopkit)")
    marks = [mark for mark in getattr(thing, "pytestmark", []) if mark.name == "loopkit"]
    return thing, dict(marks[-1].kwargs) if marks else {}


def found(report: Any, test: str, chosen: Options) -> int:
    """Print the *report* of a failure of *test*; write what shall be written."""
    report.test = test
    print(report)
    for path, write in ((chosen.save, report.save), (chosen.trace, report.record)):
        if path is not None:
            try:
                write(path)
            except OSError as error:
                raise UsageError(f"cannot write {path}: {error.strerror}") from None
    return 1
