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

__all__ = ["Options", "found", "options", "target"]


class Options(NamedTuple):
    target: str = ""
    seeds: int = 100
    seed: int = 0
    level: str = "time"
    strategy: str = "mix"
    html: str | None = None


def options(argv: list[str], verb: str, chosen: Options) -> Options | None:
    """What *argv* says; None for ``--help``. Raises UsageError."""
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            return None
        if not word.startswith("-"):
            if chosen.target:
                raise UsageError(f"{verb} takes one test, not {chosen.target!r} and {word!r}")
            chosen = chosen._replace(target=word)
            continue
        key = name.removeprefix("--")
        if key not in Options._fields or key == "target":
            raise UsageError(f"{verb} does not understand {word!r}; see loopkit {verb} --help")
        if not equals:
            if not words:
                raise UsageError(f"{name} needs a value")
            value = words.pop(0)
        if key in ("seeds", "seed"):
            if not value.isdecimal() or (key == "seeds" and not int(value)):
                raise UsageError(f"{name} needs a number, not {value!r}")
            chosen = _set(chosen, key, int(value))
        else:
            chosen = _set(chosen, key, value)
    if not chosen.target:
        raise UsageError(f"{verb} needs a test: loopkit {verb} FILE::test")
    return chosen


def _set(chosen: Options, key: str, value: Any) -> Options:
    return chosen._replace(**{key: value})


def target(name: str, verb: str) -> Callable[[], Any]:
    """The async function that ``FILE::name`` or ``FILE::Class::name`` means. Raises UsageError."""
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
    return thing  # type: ignore[no-any-return]


def found(failure: Any, chosen: Options) -> int:
    """Print the report of *failure*; write its page, if one was asked for."""
    failure.report.test = chosen.target
    print(failure.report)
    if chosen.html:
        try:
            Path(chosen.html).write_text(failure.report.html())
        except OSError as error:
            raise UsageError(f"cannot write {chosen.html}: {error.strerror}") from None
    return 1
