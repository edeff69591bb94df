"""What loops in several threads share: each piece of module state that can change, and why it may be shared.

Nothing but the interpreter's lock orders two threads, and a free-threaded build has none. What is not listed
here belongs to one loop.
"""

import ast
import functools
import importlib
import logging
import operator
import types
import typing
import weakref
from collections import deque
from collections.abc import Iterator

import pytest

from tests.shape.source import core, files, tree

RUNTIME = sorted(
    name for name in files() if name in core() or name.split(".")[1] in ("diagnostics", "sockets")
)

MUTABLE = (
    *(dict, list, set, bytearray, deque),
    *(weakref.WeakSet, weakref.WeakKeyDictionary, weakref.WeakValueDictionary),
)

#: What a module may hold without a reason: it cannot change, or is the standard library's and locks itself.
HARMLESS = (
    *(int, str, bytes, float, tuple, frozenset, types.NoneType, type, types.ModuleType),
    *(types.CodeType, types.FunctionType, types.BuiltinFunctionType, types.GenericAlias, types.UnionType),
    logging.Logger,
    *(
        type(functools.cache(print)),
        operator.itemgetter,
        typing.TypeVar,
        typing.ParamSpec,
        typing.TypeVarTuple,
    ),
    *(weakref.ref, type(typing.Any), type(typing.Union[int, str]), type(typing.List[int])),  # noqa: UP006, UP007
)

READ = "filled while its module is loaded, then only read"

SHARED = {
    "diagnostics._HOMES": READ,
    "diagnostics.agent.VERBS": READ,
    "diagnostics.agent._agent": "the process has one socket to be asked by; changed under `sharing`",
    "diagnostics.answers.LIBRARIES": READ,
    "diagnostics.census.ACQUIRING": READ,
    "diagnostics.dumping.TAKEN": READ,
    "diagnostics.endings._listeners": "the process ends once; changed under `sharing`, read from a copy",
    "diagnostics.endings._owner": "the process's number, changed with them",
    "diagnostics.endings._hooked": "the process has one excepthook; changed with them",
    "diagnostics.instruments.ASKED_FOR": READ,
    "diagnostics.instruments.GC_CALLBACKS": "the interpreter's own list; who hears looks whose thread it is",
    "diagnostics.instruments.sharing": "the lock for what the loops of a process share here",
    "diagnostics.observing._listeners": "of the class of transports: by loop, and changed under `sharing`",
    "diagnostics.recorder._last": "of the loops of a process, the one that was closed last; under `sharing`",
    "diagnostics.stacks._TURNS": READ,
    "diagnostics.alarm._armed": "the process has one alarm of faulthandler's; changed under `sharing`",
    "diagnostics.tracing.current": "one trace for a process, begun before its program and ended after it",
    "fork.loops": "fork(2) is the process's; loops are looked up. The agent, who lists them, tries again",
    "late._lates": READ,
    "net.accepting.OUT_OF_RESOURCES": READ,
    "net.addresses.PROTO": READ,
    "pollers.POLLERS": READ,
    "signals._pairs": "the process has one wakeup fd; only the main thread may take it",
    "sockets.awaited.INSTEAD": READ,
    "timers.NOBODY": "has no state: a handle that is always cancelled",
}


def rebound(module: str) -> set[str]:
    """The names of the module that its functions bind anew."""
    return {
        name
        for node in ast.walk(tree(files()[module]))
        if isinstance(node, ast.Global)
        for name in node.names
    }


@functools.cache
def state(module: str) -> set[str]:
    """What in the module can change: objects, the attributes of its classes, and names."""
    loaded = importlib.import_module(module)
    found = rebound(module)
    for name, value in vars(loaded).items():
        if name.startswith("__"):
            continue
        if isinstance(value, type) and value.__module__ == module:
            own = {key: held for key, held in vars(value).items() if not key.startswith(("__", "_field_"))}
            found |= {f"{name}.{key}" for key, held in own.items() if isinstance(held, MUTABLE)}
        elif isinstance(value, MUTABLE) or not isinstance(value, HARMLESS):
            found.add(name)
    short = module.removeprefix("loopkit.")
    return {f"{short}.{name}" for name in found if not is_borrowed(module, name)}


def is_borrowed(module: str, name: str) -> bool:
    """Whether the module has imported the name, and its home answers for it."""
    return any(name == (alias.asname or alias.name) for alias in imported(tree(files()[module]).body))


def imported(statements: list[ast.stmt]) -> Iterator[ast.alias]:
    """What is imported as the module is loaded, be it on some Pythons or systems only."""
    for node in statements:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from node.names
        elif isinstance(node, ast.If):
            yield from imported(node.body + node.orelse)


@pytest.mark.parametrize("module", RUNTIME)
def test_what_loops_share_is_listed_with_its_reason(module):
    assert sorted(state(module) - set(SHARED)) == []


def test_nothing_is_listed_that_is_not_there():
    assert sorted(set(SHARED) - set().union(*map(state, RUNTIME))) == []
