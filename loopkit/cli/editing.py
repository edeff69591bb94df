"""How the prompt edits: by Python's own editor (3.13 and newer), by readline, or by the terminal's driver.

Python's editor keeps a statement of several lines together, indents its next line, and brings the whole of it
back from the history. It is private to CPython (``_pyrepl``), so all that is used of it is in this file, and
is what ``python -m asyncio`` uses. Where something of it is missing, or the terminal is too simple for it, or
PYTHON_BASIC_REPL says so, readline does what it always did.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import rlcompleter
import sys
import termios
from types import ModuleType
from typing import TYPE_CHECKING, Any

readline: ModuleType | None
try:
    import readline
except ImportError:  # a Python built without it: the terminal driver's own line editing will do
    readline = None
else:
    if sys.implementation.name == "pypy":
        # Another editor by that name: it types what a macro stands for; it fails where TERM is dumb.
        readline = None

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CTRL_C", "Editor", "line_editing", "python_editor", "read_line"]

CTRL_C = "\x03"


class Public(rlcompleter.Completer):
    """Shows of a module what it says is public (``__all__``), until an underscore is typed."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        super().__init__(namespace)
        self._session = namespace

    def attr_matches(self, text: str) -> list[str]:
        """The attributes that *text* may become, with the dots before them."""
        found: list[str] = super().attr_matches(text)
        owner, _, attribute = text.rpartition(".")
        names = getattr(self._module(owner), "__all__", None)
        if names is None or attribute.startswith("_"):
            return found
        return [match for match in found if match.rpartition(".")[2].rstrip("() ") in names]

    def _module(self, path: str) -> object:
        """The module of that name in the session; None for all that is no module, or not there yet."""
        first, *rest = path.split(".")
        found = self._session.get(first)
        for name in rest:
            found = vars(found).get(name) if isinstance(found, ModuleType) else None
        return found if isinstance(found, ModuleType) else None


class Editor:
    """Python's own editor. It asks for statements in a thread of its own.

    Raises ImportError or AttributeError where CPython has changed it.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        interact = importlib.import_module("_pyrepl.simple_interact")
        hook = importlib.import_module("_pyrepl._threading_handler")
        self._readline = importlib.import_module("_pyrepl.readline")
        self._loop = interact.run_multiline_interactive_console
        self._readline._setup(namespace)  # input() in a statement edits, too
        self._readline.set_completer(Public(namespace).complete)
        self._reader = self._readline._get_reader()
        hook.install_threading_hook(self._reader)
        self._add = self._reader.threading_hook.add
        # Newer ones write each statement into the history themselves.
        self.keeps_history = hasattr(self._readline, "append_history_file")

    def run(self, console: object) -> None:
        """Read statements and give them to ``console.push()``, until the end of input, or ``exit``.

        *console* has what :class:`code.InteractiveConsole` has. Raises what its methods raise.
        """
        self._loop(console)

    def interrupt(self) -> None:
        """Have the statement that is being edited thrown away: KeyboardInterrupt in the thread that edits."""
        self._add("")

    def read_history(self, file: str) -> int:
        """Read the history; returns how many statements it has."""
        with contextlib.suppress(OSError):
            self._readline.read_history_file(file)
        entered = len(self._reader.history)
        self._readline.set_history_length(entered)
        return entered

    def append_history(self, file: str, entered: int) -> None:
        """Write the statements after the first *entered* ones behind what the file holds."""
        if self.keeps_history:
            return
        statements = (statement.replace("\n", "\r\n") for statement in self._reader.history[entered:])
        with contextlib.suppress(OSError), open(file, "a", encoding="utf-8", newline="") as out:
            out.writelines(f"{statement}\n" for statement in statements)


def python_editor(namespace: dict[str, Any]) -> Editor | None:
    """Python's own editor, if this Python has one that can edit here."""
    if not sys.flags.ignore_environment and os.environ.get("PYTHON_BASIC_REPL"):
        return None
    try:
        usable: bool = importlib.import_module("_pyrepl.main").CAN_USE_PYREPL
        return Editor(namespace) if usable and os.isatty(1) else None
    except (ImportError, AttributeError):  # before 3.13; PyPy, which has one of its own by that name
        return None


@contextlib.contextmanager
def line_editing(namespace: dict[str, Any]) -> Iterator[Editor | None]:
    """Completion, and the history of Python's own prompt; at the end, the terminal as it was.

    Gives Python's editor; None if :func:`input` or :func:`read_line` must do.
    """
    settings = termios.tcgetattr(0)
    history = os.environ.get("PYTHON_HISTORY") or os.path.expanduser("~/.python_history")
    if sys.flags.isolated:
        history = ""
    editor = python_editor(namespace)
    entered = 0
    if editor is not None:
        entered = editor.read_history(history) if history else 0
    elif readline is not None:
        entered = _read_by_readline(readline, namespace, history)
    try:
        yield editor
    finally:
        termios.tcsetattr(0, termios.TCSANOW, settings)  # the other thread may sit in input(), in raw mode
        if editor is not None and history:
            editor.append_history(history, entered)
        elif readline is not None and history:
            entered = readline.get_current_history_length() - entered
            with contextlib.suppress(OSError), open(history, "a"):  # it must exist to be appended to
                readline.append_history_file(entered, history)


def _read_by_readline(readline: ModuleType, namespace: dict[str, Any], history: str) -> int:
    readline.set_completer(Public(namespace).complete)
    readline.parse_and_bind("tab: complete" if _is_gnu() else "bind ^I rl_complete")
    if _is_gnu():  # end of line, discard, "take the next key literally", ^C, enter
        readline.parse_and_bind(r'"\C-c": "\C-e\C-u\C-v\C-c\C-m"')
    if history:
        with contextlib.suppress(OSError):
            readline.read_history_file(history)
    entered: int = readline.get_current_history_length()
    return entered


def read_line(prompt: str) -> str:
    """The next line, without its end. Raises EOFError at the end of the input.

    Without readline ``input()`` would wait inside C's ``fgets``, which holds a lock on stdin; newer C
    libraries wait for it in ``exit()``, and the session could not end while the other thread sits here. So
    the descriptor is read.
    """
    if readline is not None:
        with _ctrl_c_as_a_key():
            return input(prompt)
    sys.stdout.write(prompt)
    sys.stdout.flush()
    data = b""
    while not data.endswith(b"\n"):
        more = os.read(sys.stdin.fileno(), 4096)  # a terminal gives one line at a time
        if not more:
            if data:
                break
            raise EOFError
        data += more
    return data.decode(sys.stdin.encoding, sys.stdin.errors or "strict").removesuffix("\n")


@contextlib.contextmanager
def _ctrl_c_as_a_key() -> Iterator[None]:
    """While readline edits a line, let Ctrl-C reach it as a character, not the process as a signal."""
    settings = termios.tcgetattr(0)
    characters = settings[6]
    if not _is_gnu() or characters[termios.VINTR] != CTRL_C.encode():
        yield
        return
    characters[termios.VINTR] = bytes([os.fpathconf(0, "PC_VDISABLE")])
    termios.tcsetattr(0, termios.TCSANOW, settings)
    try:
        yield
    finally:
        characters[termios.VINTR] = CTRL_C.encode()
        termios.tcsetattr(0, termios.TCSANOW, settings)


def _is_gnu() -> bool:
    """Whether readline is GNU's, not the editline library behind the same module: its bindings differ."""
    return readline is not None and "libedit" not in (readline.__doc__ or "")
