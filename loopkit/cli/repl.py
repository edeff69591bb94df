"""``loopkit`` with no arguments: a prompt whose statements may ``await``, on a loop that never stops turning.

Two threads share the work. The main thread runs the loop for as long as the session lasts: signals arrive
there, and programs expect their loop there. So background tasks go on while you think, and each statement is
a callback of the loop. A second thread does nothing but ``input()``, which blocks, and posts each line to it.

Ctrl-C, then, finds one of three situations:

* a statement that awaits: its task is cancelled; a second Ctrl-C gives up waiting for it;
* a statement that computes: KeyboardInterrupt, raised in it;
* the prompt: the line is thrown away. But readline is in the other thread, out of reach of signals, so that
  while it edits, Ctrl-C is taken from the terminal's driver and becomes an editing key, which leaves a ^C
  in the line.
"""

from __future__ import annotations

import ast
import asyncio
import code
import contextlib
import contextvars
import inspect
import os
import queue
import signal
import sys
import termios
import threading
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import loopkit
from loopkit.cli.options import Options, UsageError, apply, parse
from loopkit.cli.run import fresh_main, run_stdin

readline: ModuleType | None
try:
    import readline
except ImportError:  # a Python built without it: the terminal driver's own line editing will do
    readline = None

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

CTRL_C = "\x03"


def main(argv: list[str]) -> int:
    """Prompt until Ctrl-D or ``exit()``. Without a terminal, run the program on standard input instead.

    Raises UsageError for words that are no options.
    """
    options, rest = parse(argv)
    if rest:
        raise UsageError(f"repl takes no {rest[0]!r}; to run a program: loopkit run {rest[0]}")
    apply(options)
    if sys.stdin is None or not sys.stdin.isatty():
        return run_stdin([""], top_level_await=True)
    loopkit.install()
    _interact(options)
    return 0


def _interact(options: Options) -> None:
    namespace = fresh_main().__dict__
    namespace.update(asyncio=asyncio, loopkit=loopkit)
    sys.argv = [""]
    if not sys.flags.safe_path:
        sys.path[0] = ""
    sys.ps1 = getattr(sys, "ps1", ">>> ")
    sys.ps2 = getattr(sys, "ps2", "... ")
    try:
        with asyncio.Runner(loop_factory=loopkit.new_event_loop) as runner, _line_editing(namespace):
            prompt = Prompt(namespace, runner.get_loop())
            if not options.quiet:
                prompt.write(_banner(prompt.loop))
            prompt.run_startup_file()
            prompt.run()
    except KeyboardInterrupt:  # while leaving: a background task refuses to be cancelled
        raise SystemExit(128 + signal.SIGINT) from None


def _banner(loop: asyncio.AbstractEventLoop) -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    poller = getattr(loop, "poller_name", "?")
    return (
        f"loopkit {loopkit.__version__} ({poller}) on Python {python}. "
        f"Use await directly, without asyncio.run().\n"
        f"Ctrl-C cancels the running statement, Ctrl-D leaves.\n"
        f"{sys.ps1}import asyncio, loopkit\n"
    )


class Prompt(code.InteractiveConsole):
    """Reads and runs one statement after the other. All but :meth:`_read` is called in the loop's thread."""

    def __init__(self, namespace: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(namespace, filename="<stdin>")
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self.loop = loop
        self.context = contextvars.copy_context()  # of all statements, so that a ContextVar stays set
        self.task: asyncio.Task[object] | None = None  # the statement that awaits
        self.cancelled = False  # ... and has had its first Ctrl-C
        self.computing = False  # a statement that has not returned yet
        self.waiting = False  # for a line
        self.prompts: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Prompt until the end of input. Raises what a statement leaves by: SystemExit."""
        previous = signal.getsignal(signal.SIGINT)
        # A Python handler alone is late if the signal comes just before the loop falls asleep. With this one,
        # a signal wakes the loop, whoever handles it.
        self.loop.add_signal_handler(signal.SIGINT, lambda: None)
        signal.signal(signal.SIGINT, self._interrupted)
        threading.Thread(target=self._read, name="loopkit prompt", daemon=True).start()
        self._ask()
        try:
            while True:
                try:
                    return self.loop.run_forever()
                except KeyboardInterrupt:
                    self._abandon()
        finally:
            self.loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, previous)
            self.prompts.put(None)
            self.task = None

    def run_startup_file(self) -> None:
        """Run what PYTHONSTARTUP names, as Python's own prompt does. Its errors are shown and forgotten."""
        path = None if sys.flags.ignore_environment else os.environ.get("PYTHONSTARTUP")
        if path:
            try:
                with open(path, "rb") as file:
                    exec(compile(file.read(), path, "exec", dont_inherit=True), self.locals)
            except Exception:
                self.showtraceback()

    # -- The other thread.

    def _read(self) -> None:
        while (prompt := self.prompts.get()) is not None:
            try:
                with _ctrl_c_as_a_key():
                    line: str | None = input(prompt) if readline is not None else read_line(prompt)
            except UnicodeDecodeError as error:
                self.write(f"{error}\n")
                line = ""
            except (EOFError, OSError, ValueError):  # Ctrl-D; the terminal is gone; someone closed sys.stdin
                line = None
            with contextlib.suppress(RuntimeError):  # the session ended while we waited, and closed its loop
                self.loop.call_soon_threadsafe(self._entered, line)

    # -- The loop's thread.

    def _ask(self, more: bool = False) -> None:
        self.waiting = True
        self.prompts.put(str(sys.ps2 if more else sys.ps1))

    def _entered(self, line: str | None) -> None:
        self.waiting = False
        if line is None:
            self.write("\n")
            self.loop.stop()
        elif CTRL_C in line:
            self._say_interrupted("")
            self._ask()
        else:
            more = self.push(line)
            if self.task is None:
                self._ask(more)

    def runcode(self, code: CodeType) -> None:
        """Run a statement, for push(). One that awaits becomes a task; then :meth:`_finished` goes on."""
        try:
            self.computing = True
            result = self.context.run(FunctionType(code, self.locals))
            self.computing = False
        except SystemExit:
            raise
        except KeyboardInterrupt:
            self.computing = False
            self._say_interrupted()
        except BaseException:
            self.computing = False
            self.showtraceback()
        else:
            if code.co_flags & inspect.CO_COROUTINE:
                self.cancelled = False
                self.task = self.loop.create_task(result, context=self.context)
                self.task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[object]) -> None:
        awaited = task is self.task
        try:
            task.result()
        except asyncio.CancelledError:
            if awaited and self.cancelled:
                self._say_interrupted()
            elif awaited:
                self.showtraceback()
        except (KeyboardInterrupt, SystemExit):  # these have left the loop before, and were seen to there
            pass
        except BaseException:
            self.showtraceback()
        if awaited:
            self.task = None
            self._ask()

    # -- Ctrl-C.

    def _interrupted(self, signum: int, frame: FrameType | None) -> None:
        # Raises only into a statement, and only once, however often an impatient user presses the key.
        if self.task is not None and not self.cancelled:
            self.cancelled = True
            self.loop.call_soon_threadsafe(self.task.cancel)
        elif self.task is not None or self.computing:
            self.task, self.computing = None, False
            raise KeyboardInterrupt
        elif self.waiting:  # no readline: the driver has thrown away what was typed
            self.loop.call_soon_threadsafe(self._prompt_again)

    def _prompt_again(self) -> None:
        self._say_interrupted()
        print(sys.ps1, end="", flush=True)

    def _abandon(self) -> None:
        """KeyboardInterrupt stopped the loop. A task that refuses cancellation goes on in the background."""
        self.task = None
        self._say_interrupted()
        if not self.waiting:
            self._ask()

    def _say_interrupted(self, before: str = "\n") -> None:
        self.resetbuffer()
        self.write(f"{before}KeyboardInterrupt\n")


# -- The terminal.


@contextlib.contextmanager
def _line_editing(namespace: dict[str, Any]) -> Iterator[None]:
    """Completion and the history of Python's own prompt; at the end, the terminal as it was."""
    settings = termios.tcgetattr(0)
    entered = 0
    history = os.environ.get("PYTHON_HISTORY") or os.path.expanduser("~/.python_history")
    if sys.flags.isolated:
        history = ""
    if readline is not None:
        import rlcompleter

        class Public(rlcompleter.Completer):
            """Shows of a module what it says is public (``__all__``), until an underscore is typed."""

            def attr_matches(self, text: str) -> list[str]:
                found: list[str] = super().attr_matches(text)
                owner, _, attribute = text.rpartition(".")
                names = getattr(namespace.get(owner), "__all__", None)
                if names is None or attribute.startswith("_"):
                    return found
                return [match for match in found if match.rpartition(".")[2].rstrip("() ") in names]

        readline.set_completer(Public(namespace).complete)
        readline.parse_and_bind("tab: complete" if _is_gnu() else "bind ^I rl_complete")
        if _is_gnu():  # end of line, discard, "take the next key literally", ^C, enter
            readline.parse_and_bind(r'"\C-c": "\C-e\C-u\C-v\C-c\C-m"')
        if history:
            with contextlib.suppress(OSError):
                readline.read_history_file(history)
        entered = readline.get_current_history_length()
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSANOW, settings)  # the other thread may sit in input(), in raw mode
        if readline is not None and history:
            entered = readline.get_current_history_length() - entered
            with contextlib.suppress(OSError), open(history, "a"):  # it must exist to be appended to
                readline.append_history_file(entered, history)


def read_line(prompt: str) -> str:
    """What ``input()`` does without readline, by the descriptor. Raises EOFError at the end of the input.

    ``input()`` would wait inside C's ``fgets``, which holds a lock on stdin; newer C libraries wait for it in
    ``exit()``, and the session could not end while the other thread sits here.
    """
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
    if readline is None or not _is_gnu() or characters[termios.VINTR] != CTRL_C.encode():
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
