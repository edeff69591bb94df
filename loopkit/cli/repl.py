"""``loopkit`` with no arguments: a prompt whose statements may ``await``, on a loop that never stops turning.

Two threads share the work. The main thread runs the loop for as long as the session lasts: signals arrive
there, and programs expect their loop there. So background tasks go on while you think, and each statement is
a callback of the loop. A second thread does nothing but edit, which blocks, and posts to it what was entered:
a whole statement by Python's own editor, or a line by readline (see ``editing.py``).

Ctrl-C, then, finds one of three situations:

* a statement that awaits: its task is cancelled; a second Ctrl-C gives up waiting for it;
* a statement that computes: KeyboardInterrupt, raised in it;
* the prompt: what was typed is thrown away. Python's editor is told to. readline is in the other thread, out
  of reach of signals, so that while it edits, Ctrl-C is taken from the terminal's driver and becomes an
  editing key, which leaves a ^C in the line.
"""

from __future__ import annotations

import ast
import asyncio
import code
import contextlib
import contextvars
import inspect
import linecache
import os
import queue
import signal
import sys
import threading
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any

import loopkit
from loopkit.cli.editing import CTRL_C, line_editing, read_line
from loopkit.cli.options import Options, UsageError, apply, parse
from loopkit.cli.run import fresh_main, run_stdin

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopkit.cli.editing import Editor

__all__ = ["main"]


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
        with asyncio.Runner(loop_factory=loopkit.new_event_loop) as runner, line_editing(namespace) as editor:
            prompt = Prompt(namespace, runner.get_loop(), editor)
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


AWAITS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

#: Seconds that the other thread may take to put the terminal back.
LEAVING = 2.0


class Prompt(code.InteractiveConsole):
    """Reads and runs one statement after the other.

    All but :meth:`_read` and :meth:`_edit` is called in the loop's thread.
    """

    def __init__(
        self, namespace: dict[str, Any], loop: asyncio.AbstractEventLoop, editor: Editor | None
    ) -> None:
        super().__init__(namespace, filename="<stdin>")
        self.editor = editor
        self.compile.compiler.flags |= AWAITS
        self.loop = loop
        self.context = contextvars.copy_context()  # of all statements, so that a ContextVar stays set
        self.task: asyncio.Task[object] | None = None  # the statement that awaits
        self.cancelled = False  # ... and has had its first Ctrl-C
        self.computing = False  # a statement that has not returned yet
        self.waiting = False  # for a line, or a statement
        self.over = False  # the session
        self.prompts: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Prompt until the end of input. Raises what a statement leaves by: SystemExit."""
        previous = signal.getsignal(signal.SIGINT)
        # A Python handler alone is late if the signal comes just before the loop falls asleep. With this one,
        # a signal wakes the loop, whoever handles it.
        self.loop.add_signal_handler(signal.SIGINT, lambda: None)
        signal.signal(signal.SIGINT, self._interrupted)
        reader = threading.Thread(
            target=self._edit if self.editor else self._read, name="loopkit prompt", daemon=True
        )
        reader.start()
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
            self.over, self.task = True, None
            self.prompts.put(None)
            if self.editor is not None:
                self.editor.interrupt()
                reader.join(LEAVING)  # it has changed the terminal, and puts it back

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
            line: str | None
            try:
                line = read_line(prompt)
            except UnicodeDecodeError as error:
                self.write(f"{error}\n")
                line = ""
            except (EOFError, OSError, ValueError):  # Ctrl-D; the terminal is gone; someone closed sys.stdin
                line = None
            self._post(self._entered, line)

    def _edit(self) -> None:
        assert self.editor is not None
        self.prompts.get()
        try:
            self.editor.run(_Statements(self))
        except SystemExit as error:  # by the word `exit`
            self._post(self._leave, error)
        except (OSError, ValueError):  # the terminal is gone
            self._post(self._leave, None)
        else:
            self._post(self._entered, None)

    def _post(self, callback: Callable[..., object], *words: object) -> None:
        with contextlib.suppress(RuntimeError):  # the session ended while we waited, and closed its loop
            self.loop.call_soon_threadsafe(self._posted, callback, *words)

    # -- The loop's thread.

    def _posted(self, callback: Callable[..., object], *words: object) -> None:
        if not self.over:  # what is left to do in the loop is to clean up
            callback(*words)

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

    def statements(self, source: str, name: str) -> None:
        """Run what Python's editor has read: one statement, or several that were pasted.

        They run as one: an error in one of them ends the others, and what awaits is one task.
        """
        self.waiting = False
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        compiler: Any = self.compile.compiler  # knows what was imported from __future__
        try:
            tree = compile(source, name, "exec", AWAITS | ast.PyCF_ONLY_AST, dont_inherit=True)
            code = compiler(ast.Interactive(tree.body), name, "single")
        except (SyntaxError, OverflowError, ValueError):
            self.showsyntaxerror(name)
        else:
            self.runcode(code)
        if self.task is None:
            self._ask()

    def _leave(self, error: SystemExit | None) -> None:
        if error is not None:
            raise error
        self.loop.stop()

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
        elif self.waiting:
            self.loop.call_soon_threadsafe(self._prompt_again)

    def _prompt_again(self) -> None:
        if self.editor is not None:
            return self.editor.interrupt()
        self._say_interrupted()  # no readline: the driver has thrown away what was typed
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


class _Statements:
    """What Python's editor believes is the console: it runs nothing, but posts, and waits for the end."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self.locals = prompt.locals
        self.compile = prompt.compile  # it tries by this whether there must be more lines

    def push(self, source: str, filename: str, _symbol: str = "single") -> bool:
        """Have a statement run, and return when the next one may be read. Raises SystemExit if none may."""
        self._prompt._post(self._prompt.statements, source, filename)
        if self._prompt.prompts.get() is None:
            raise SystemExit
        return False

    def write(self, text: str) -> None:
        """Say that what was typed has been thrown away. Raises SystemExit if the session is over."""
        if self._prompt.over:
            raise SystemExit
        self._prompt.write(text)

    def resetbuffer(self) -> None:
        """There is none: statements come whole."""

    def showtraceback(self) -> None:
        """Show an error of the editor itself."""
        self._prompt.showtraceback()
