"""``loopkit FILE``, ``-m``, ``-c``, ``-``: run a program as ``python`` would, with loopkit as its event loop.

The program must not be able to tell. So, in this very process:

* a new ``__main__`` module replaces ours in ``sys.modules`` and stays there, because pickle,
  multiprocessing's spawn and functions registered with atexit look things up in it after we are gone (runpy
  takes it away again at the end). Ours is kept alive: up to Python 3.13 the interpreter lets go of the module
  of a script that fails, as the installed ``loopkit`` is one, and then goes on to use its dictionary;
* ``sys.argv`` and ``sys.path[0]`` become what ``python`` makes of them; under ``-P`` there is no
  ``sys.path[0]``;
* an exception travels on to the interpreter, which alone knows how to die of it (the status of SystemExit,
  the signal after KeyboardInterrupt, ``python -i``). Only the traceback is cut, at the moment it is shown.
"""

from __future__ import annotations

import ast
import atexit
import builtins
import importlib.util
import inspect
import io
import os
import sys
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from loopkit.cli.options import UsageError, apply, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec

__all__ = ["fresh_main", "main", "run_stdin"]


def main(argv: list[str]) -> int:
    """Run the program that *argv* names, after our own options. What it raises passes through.

    Raises UsageError if there is nothing that could be run.
    """
    options, rest = parse(argv)
    if not rest:
        raise UsageError("run needs a file, -m MODULE, -c CODE, or - for standard input")
    apply(options)
    word = rest[0]
    if word == "-":
        return run_stdin(rest)
    if word[:2] in ("-m", "-c"):
        return _execute(_load_option, word, rest[1:])
    return _execute(_load_path, rest)


def run_stdin(argv: list[str], *, top_level_await: bool = False) -> int:
    """Run the program on standard input, with *argv* as its ``sys.argv``.

    Args:
        top_level_await: give it what a prompt has: ``await`` outside functions, and ``asyncio`` imported.
    """
    return _execute(_load_stdin, argv, top_level_await)


def fresh_main() -> ModuleType:
    """Put a new ``__main__`` into ``sys.modules``, furnished as the interpreter furnishes its own."""
    module = ModuleType("__main__")
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    module.__dict__.update(__loader__=BuiltinImporter, __builtins__=builtins)
    _replaced.append(sys.modules["__main__"])
    sys.modules["__main__"] = module
    return module


#: The modules that were `__main__` before.
_replaced: list[ModuleType] = []


def _execute(load: Callable[..., CodeType], *arguments: object) -> int:
    import loopkit

    loopkit.install()
    atexit.register(_remark, os.getpid())
    module = fresh_main()
    try:
        code = load(module, *arguments)
        coroutine = eval(code, module.__dict__)
        if code.co_flags & inspect.CO_COROUTINE:
            import asyncio

            asyncio.run(coroutine)
    except (SystemExit, UsageError):
        raise
    except BaseException:
        _cut_traceback()
        raise
    return 0


def _remark(pid: int) -> None:
    """Say so if the program had another loop than ours: whoever runs it by this command does not expect that.

    Args:
        pid: the process that was started; its forks have nothing to say.
    """
    from loopkit.loop import Loop

    if Loop._made or os.getpid() != pid or "asyncio" not in sys.modules:
        return
    from loopkit.bench.others import OTHER_LOOPS

    others = OTHER_LOOPS.keys() & sys.modules.keys()
    if others and sys.stderr is not None:
        way = "; uvicorn takes ours if it is told --loop none" if "uvicorn" in sys.modules else ""
        print(
            f"loopkit: this program ran on {', '.join(sorted(others))}, not on loopkit{way}", file=sys.stderr
        )


def _cut_traceback() -> None:
    """Have the exception on its way shown without the frames that lead to the program: ours, runpy's,
    coverage's.

    They cannot be cut before it is shown, as each function it leaves adds its own. Whatever the program put
    into ``sys.excepthook`` does the showing.
    """
    hook = getattr(sys, "excepthook", None)
    if hook is None:  # the program deleted it; the interpreter has a message about that
        return

    def show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        sys.excepthook = hook
        while traceback is not None and traceback.tb_frame.f_code.co_filename != __file__:
            traceback = traceback.tb_next
        while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
            traceback = traceback.tb_next
        sys.last_traceback = traceback
        hook(kind, error.with_traceback(traceback), traceback)

    sys.excepthook = show


# -- The kinds of program: each sets the stage in `module`, sys.argv and sys.path, and returns the code.


def _load_path(module: ModuleType, argv: list[str]) -> CodeType:
    path = argv[0]
    sys.argv = argv
    try:
        full = os.path.join(os.getcwd(), path)  # not normalised: `python ./app.py` has "/./" in __file__ too
        if any(_accepts(hook, full) for hook in sys.path_hooks):
            if sys.flags.safe_path:
                sys.path.insert(
                    0, ""
                )  # a folder or zip is the one thing that python puts there even under -P
            sys.path[0] = full
            return _found(module, "_get_main_module_details", UsageError)[0]
        with io.open_code(full) as file:
            data = file.read()
    except OSError as error:
        raise UsageError(
            f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}{_hint(path)}"
        ) from None
    _set_path(os.path.dirname(os.path.realpath(full)))
    compiled = path.endswith(".pyc")
    loader = SourcelessFileLoader if compiled else SourceFileLoader
    module.__dict__["__loader__"] = loader("__main__", full)
    _set_file(module, full)
    return _unmarshal(data, path) if compiled else _compile(data, full, path)


def _load_option(module: ModuleType, option: str, rest: list[str]) -> CodeType:
    """``-m NAME``, ``-c CODE``, and the same written in one word as in ``-mNAME``."""
    flag, value = option[:2], option[2:]
    if not value:
        if not rest:
            raise UsageError(f"{flag} needs {'the name of a module' if flag == '-m' else 'code'}")
        value, *rest = rest
    sys.argv = [flag, *rest]  # what a package's __init__ sees while its __main__ is looked for
    if flag == "-m":
        _set_path(os.getcwd())
        code, spec = _found(module, "_get_module_details", value, UsageError)
        sys.argv[0] = spec.origin or value
        return code
    _set_path("")
    return _compile_command(value)


def _load_stdin(module: ModuleType, argv: list[str], top_level_await: bool) -> CodeType:
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    sys.argv = argv
    _set_path("")
    _set_file(module, "<stdin>")
    if top_level_await:
        import asyncio

        module.__dict__["asyncio"] = asyncio
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if top_level_await else 0
    return _compile(sys.stdin.buffer.read(), "<stdin>", "standard input", flags)


def _found(module: ModuleType, finder: str, *arguments: object) -> tuple[CodeType, ModuleSpec]:
    """Find a module's code by the function that ``python -m`` finds it by, and dress *module* as that one
    does.

    The function is runpy's own, as in pdb, trace and cProfile: which errors of a half-imported parent package
    mean "not found", and what is said then, is nothing to have a second opinion on.
    """
    import runpy

    _, spec, code = getattr(runpy, finder)(*arguments)
    _set_file(module, spec.origin, spec.cached)
    module.__dict__.update(__loader__=spec.loader, __package__=spec.parent, __spec__=spec)
    return code, spec


# -- Small things.


def _set_file(module: ModuleType, name: str | None, cached: str | None = None) -> None:
    module.__dict__["__file__"] = name
    if sys.version_info < (3, 15):
        module.__dict__["__cached__"] = cached


def _set_path(entry: str) -> None:
    if not sys.flags.safe_path:
        sys.path[0] = entry


def _accepts(hook: Callable[[str], Any], path: str) -> bool:
    """Whether *path* is something to import from, rather than a script: what ``python PATH`` asks first."""
    try:
        hook(path)
    except ImportError:
        return False
    return True


def _hint(path: str) -> str:
    """A word that is no file may have been meant for a verb."""
    if os.sep in path or "." in path:
        return ""
    from difflib import get_close_matches

    from loopkit.cli import VERBS

    if near := get_close_matches(path, VERBS, 1):
        return f" (did you mean {near[0]}?)"
    return f" (and no verb has that name: {', '.join(VERBS)})"


def _compile(data: bytes, filename: str, name: str, flags: int = 0) -> CodeType:
    """Compile a file. Bytes that are no text raise UsageError; text that is no Python, SyntaxError."""
    if b"\0" in data:
        raise UsageError(f"{name!r} is not a Python program: it holds NUL bytes")
    try:
        code: CodeType = compile(data, filename, "exec", flags, dont_inherit=True)
    except SyntaxError:
        try:
            importlib.util.decode_source(data)
        except (SyntaxError, UnicodeDecodeError) as error:
            raise UsageError(f"{name!r} is not a Python program: {error}") from None
        raise
    return code


def _unmarshal(data: bytes, name: str) -> CodeType:
    """The code in a .pyc file: a magic number, three words about its source, the code."""
    import marshal

    if data[:4] != importlib.util.MAGIC_NUMBER:
        raise UsageError(f"{name!r} was not compiled by Python {sys.version_info[0]}.{sys.version_info[1]}")
    try:
        code = marshal.loads(data[16:])
    except (EOFError, ValueError, TypeError):
        code = None
    if not isinstance(code, CodeType):
        raise UsageError(f"{name!r} is damaged: it holds no code")
    return code


def _compile_command(source: str) -> CodeType:
    """Compile the text of ``-c``, which tracebacks quote from 3.13 on, and which 3.14 unindents."""
    if sys.version_info >= (3, 14):
        import textwrap

        source = textwrap.dedent(source)
    try:
        source.encode()
    except UnicodeEncodeError:
        raise UsageError("the code after -c is not valid in this locale's encoding") from None
    if sys.version_info >= (3, 13):
        import linecache

        lines = [line + "\n" for line in source.splitlines()]
        linecache.cache["<string>"] = (len(source), None, lines, "<string>")
    code: CodeType = compile(source, "<string>", "exec", dont_inherit=True)
    return code
