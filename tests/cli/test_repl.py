"""Does the prompt await, survive Ctrl-C, keep background tasks running, and leave the terminal as it was?"""

import importlib.util
import re
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import SOURCE, Terminal, python, run_loopkit
from tests.support.pythons import PYPY

NO_READLINE = "import sys; sys.modules['readline'] = None\n"
EDITS = sys.version_info >= (3, 13) and importlib.util.find_spec("_pyrepl") is not None
READS_LINES = [] if PYPY else ["readline"]  # PyPy's is another editor, and is not used
EDITORS = [*(["python's editor"] if EDITS else []), *READS_LINES, "no readline"]


@pytest.fixture(params=EDITORS)
def prompt(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """A prompt that has shown its first >>>, with each way of editing."""
    editor = request.param == "python's editor"
    more = {} if editor else {"PYTHON_BASIC_REPL": "1"}
    if request.param == "no readline":
        (tmp_path / "sitecustomize.py").write_text(NO_READLINE)
        more["PYTHONPATH"] = f"{SOURCE}:{tmp_path}"
    with Terminal("-q", cwd=tmp_path, editor=editor, **more) as terminal:
        terminal.expect(">>> ")
        yield terminal


def test_shows_values_and_errors_of_statements_that_await_or_not(prompt: Terminal) -> None:
    prompt.enter("6 * 7", "\r\n42\r\n")
    prompt.enter("await asyncio.sleep(0, 'sl' + 'ept')", "'slept'")
    prompt.enter("x = await asyncio.sleep(0, 5); x + 1", "\r\n6\r\n")
    prompt.enter("1/0", "ZeroDivisionError")
    error = prompt.enter("await asyncio.wait_for(asyncio.sleep(9), 0)", "TimeoutError")
    assert "loopkit/cli" not in error
    prompt.enter("def", "SyntaxError")
    prompt.enter("__name__, type(asyncio.get_running_loop()).__name__", "('__main__', 'Loop')")


def test_traceback_begins_at_the_statement(prompt: Terminal) -> None:
    # On PyPy the steps of a task are Python, and shown.
    for statement in ("1/0",) if PYPY else ("1/0", "await asyncio.sleep('x')"):
        prompt.type(f"{statement}\n")
        prompt.expect("Traceback (most recent call last):\r\n")
        shown = prompt.expect("Error")
        assert re.search(r'^  File "<(stdin|python-input-\d)>", line 1, in <module>\r\n', shown)
        assert not prompt.editor or statement in shown
        prompt.expect(">>> ")


def test_statements_share_one_context(prompt: Terminal) -> None:
    prompt.enter("import contextvars; v = contextvars.ContextVar('v')", "\n")
    prompt.enter("await asyncio.sleep(0, v.set(1)) and None", "\n")
    prompt.enter("v.get(), await asyncio.sleep(0, v.get())", "(1, 1)")


def test_blocks_end_with_an_empty_line(prompt: Terminal) -> None:
    prompt.enter_block("async def double(x):", "    await asyncio.sleep(0)", "    return 2 * x")
    prompt.enter("await double(21)", "\r\n42\r\n")


def test_background_tasks_run_while_it_waits_for_input(prompt: Terminal) -> None:
    prompt.type("task = asyncio.create_task(asyncio.sleep(0.1))\n")
    prompt.expect(">>> ")
    prompt.type("task.add_done_callback(lambda _: print('in the back' + 'ground'))\n")
    prompt.expect("in the background")  # and nothing was typed


def test_ctrl_c_cancels_the_statement_that_awaits(prompt: Terminal) -> None:
    prompt.type("print('wait' + 'ing'); await asyncio.sleep(60)\n")
    prompt.expect("waiting")
    prompt.type("\x03")
    prompt.expect("KeyboardInterrupt")
    prompt.expect(">>> ")
    prompt.enter("21 * 2", "42")


def test_ctrl_c_interrupts_the_statement_that_computes(prompt: Terminal) -> None:
    prompt.type("import time; print('comput' + 'ing'); time.sleep(60)\n")
    prompt.expect("computing")
    prompt.type_until("\x03", "KeyboardInterrupt")  # one that comes just before the sleep does not end it
    prompt.type_until("21 * 2\n", "\r\n42\r\n")  # one Ctrl-C more may be on its way


def test_a_second_ctrl_c_interrupts_a_coroutine_that_computes(prompt: Terminal) -> None:
    prompt.enter_block("async def f():", "    print('comput' + 'ing')", "    while True: pass")
    prompt.type("await f()\n")
    prompt.expect("computing")
    prompt.type_until("\x03", "KeyboardInterrupt")
    prompt.type_until("21 * 2\n", "\r\n42\r\n")  # one Ctrl-C more may be on its way


def test_ctrl_c_at_the_prompt_throws_the_line_away(prompt: Terminal) -> None:
    prompt.type("print('never'")
    prompt.expect("'never'")
    prompt.type("\x03")
    prompt.expect("KeyboardInterrupt")
    prompt.expect(">>> ")
    prompt.type("def f():\n")
    prompt.expect("... ")
    prompt.type("\x03")
    prompt.expect("KeyboardInterrupt")
    prompt.expect(">>> ")
    prompt.enter("21 * 2", "42")


def test_an_abandoned_statement_goes_on_and_its_end_is_seen(prompt: Terminal) -> None:
    prompt.enter_block(
        "async def f():",
        "    print('wait' + 'ing')",
        "    for word in ('refu' + 'sed', 'fail' + 'ed'):",
        "        try: await asyncio.wait_for(asyncio.shield(go.wait()), 60)",
        "        except asyncio.CancelledError: asyncio.get_running_loop().call_later(0.1, print, word)",
        "    1/0",
    )
    prompt.enter("go = asyncio.Event()", "\n")
    prompt.type("await f()\n")
    prompt.expect("waiting")
    prompt.process.send_signal(signal.SIGINT)
    prompt.expect("refused")
    prompt.process.send_signal(signal.SIGINT)
    prompt.expect("KeyboardInterrupt")
    prompt.expect(">>> ")
    prompt.type("go.set()\n")
    prompt.expect("ZeroDivisionError")


def test_a_signal_at_the_prompt_does_no_harm(prompt: Terminal) -> None:
    prompt.process.send_signal(signal.SIGINT)
    prompt.expect("KeyboardInterrupt")
    prompt.expect(">>> ")
    prompt.enter("21 * 2", "42")


def test_ctrl_d_leaves_and_background_tasks_are_cancelled(prompt: Terminal) -> None:
    prompt.enter_block(
        "async def f():", "    try: await asyncio.sleep(60)", "    finally: print('clean' + 'ed up')"
    )
    prompt.enter("t = asyncio.create_task(f()); await asyncio.sleep(0)", "\n")
    prompt.type("\x04")
    assert prompt.ended() == 0
    assert "cleaned up" in prompt.unread


@pytest.mark.parametrize("statement", ["exit(3)", "raise SystemExit(3)", "await asyncio.sleep(0); exit(3)"])
def test_exit_leaves_with_its_code(prompt: Terminal, statement: str) -> None:
    prompt.type(statement + "\n")
    assert prompt.ended() == 3
    assert "Traceback" not in prompt.unread


def test_exit_from_the_background_restores_the_terminal(prompt: Terminal) -> None:
    prompt.type("_ = asyncio.get_running_loop().call_later(0.2, exit, 3)\n")
    assert prompt.ended() == 3
    assert "Traceback" not in prompt.unread
    assert termios.tcgetattr(prompt.fd) == prompt.settings


def test_ctrl_c_while_leaving_gives_up_on_a_task_that_will_not_end(prompt: Terminal) -> None:
    prompt.enter_block(
        "async def f():",
        "    while True:",
        "        try: await asyncio.sleep(60)",
        "        except asyncio.CancelledError: t.get_loop().call_later(0.1, print, 'not ' + 'yet')",
    )
    prompt.enter("t = asyncio.create_task(f()); await asyncio.sleep(0)", "\n")
    prompt.type("\x04")
    prompt.expect("not yet")
    prompt.type("\x03")
    assert prompt.ended() == 128 + signal.SIGINT
    assert "loopkit/cli" not in prompt.unread


@pytest.mark.parametrize("kind", EDITORS[:-1])
def test_completion_and_history(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("readline")
    editor = kind == "python's editor"
    more = {} if editor else {"PYTHON_BASIC_REPL": "1"}
    with Terminal("-q", cwd=tmp_path, editor=editor, **more) as prompt:
        prompt.expect(">>> ")
        prompt.enter("remembered_name = 41", "\n")
        prompt.enter("remembered_na\t + 1", "\r\n42\r\n")
        prompt.type("\x04")
        assert prompt.ended() == 0
    assert (tmp_path / "history").read_text().count("remembered_name = 41\n") == 1
    with Terminal("-q", cwd=tmp_path, editor=editor, **more) as prompt:
        prompt.expect(">>> ")
        prompt.type(f"{prompt.up}{prompt.up}\n")
        prompt.expect(">>> ")
        prompt.enter("remembered_name", "\r\n41\r\n")
        prompt.type("\x04")
        assert prompt.ended() == 0


@pytest.mark.parametrize("kind", EDITORS[:-1])
def test_completion_shows_public_names_only(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("readline")
    editor = kind == "python's editor"
    more = {} if editor else {"PYTHON_BASIC_REPL": "1"}
    with Terminal("-q", cwd=tmp_path, editor=editor, **more) as prompt:
        prompt.expect(">>> ")
        prompt.enter("import loopkit.testing, json.decoder", "\n")
        for module, public, private in (
            ("loopkit", ("EpollLoop", "run", "install"), ("watches", "late", "transports", "_")),
            ("loopkit.testing", ("SimLoop", "explore"), ("annotations", "_")),
            ("json.decoder", ("JSONDecoder",), ("scanner", "NaN", "_")),
        ):
            prompt.type(f"{module}.\t\t\t")
            shown = prompt.expect(f"{module}.{public[0]}")
            prompt.type("\x03")
            shown += f"{module}.{public[0]}" + prompt.expect("KeyboardInterrupt")
            prompt.expect(">>> ")
            for name in public:
                assert f"{module}.{name}" in shown
            for name in private:
                assert f"{module}.{name}" not in shown


@pytest.mark.skipif(not EDITS, reason="this Python has no such editor")
def test_pythons_editor_indents_and_brings_a_whole_statement_back(tmp_path: Path) -> None:
    with Terminal("-q", cwd=tmp_path, editor=True) as prompt:
        prompt.expect(">>> ")
        prompt.type("async def double(x):\nif x:\nreturn 2 * await asyncio.sleep(0, x)\n\n")
        prompt.expect(">>> ")
        prompt.enter("await double(21)", "\r\n42\r\n")
        prompt.type(prompt.up * 2 + "\x7f" * 2 + "x + 1)\n\n")  # up to the block; its last characters anew
        prompt.expect(">>> ")
        prompt.enter("await double(21)", "\r\n44\r\n")
        prompt.type("\x04")
        assert prompt.ended() == 0
    assert (
        "async def double(x):\r\n    if x:\r\n        return" in (tmp_path / "history").read_bytes().decode()
    )


@pytest.mark.skipif(not EDITS, reason="this Python has no such editor")
def test_statements_that_are_pasted_run_one_after_the_other_until_one_fails(tmp_path: Path) -> None:
    with Terminal("-q", cwd=tmp_path, editor=True) as prompt:
        prompt.expect(">>> ")
        prompt.paste("a = await asyncio.sleep(0, 20)", "a += 1", "1/0", "a = 0")
        prompt.expect("ZeroDivisionError")
        prompt.expect(">>> ")
        prompt.enter("a * 2", "\r\n42\r\n")


@pytest.mark.skipif(not EDITS, reason="this Python has no such editor")
def test_what_is_no_python_is_an_error_and_the_word_exit_leaves(tmp_path: Path) -> None:
    with Terminal("-q", cwd=tmp_path, editor=True) as prompt:
        prompt.expect(">>> ")
        prompt.enter("for for", "SyntaxError: invalid syntax")
        prompt.type("exit\n")
        assert prompt.ended() == 0
        assert "Traceback" not in prompt.unread
        assert termios.tcgetattr(prompt.fd) == prompt.settings


def test_a_terminal_that_can_do_little_is_edited_by_readline(tmp_path: Path) -> None:
    with Terminal("-q", cwd=tmp_path, TERM="dumb") as prompt:
        before = prompt.expect(">>> ")
        answer = prompt.enter("await asyncio.sleep(0, 42)", "\r\n42\r\n")
        assert "\x1b" not in before + answer  # Python's own editor moves the cursor by escape sequences


def test_banner_names_the_poller_and_options_hold(tmp_path: Path) -> None:
    with Terminal("--poller", "select", "--debug", cwd=tmp_path, editor=EDITS) as prompt:
        assert "(select) on Python" in prompt.expect(">>> import asyncio, loopkit\r\n")
        prompt.expect(">>> ")
        prompt.enter("asyncio.get_running_loop().get_debug()", "True")


def test_startup_file_is_run_and_its_error_is_shown(tmp_path: Path) -> None:
    (tmp_path / "startup.py").write_text("started = 'started ' + 'up'\n1/0\n")
    with Terminal("-q", cwd=tmp_path, PYTHONSTARTUP=str(tmp_path / "startup.py")) as prompt:
        prompt.expect("ZeroDivisionError")
        prompt.enter("started", "'started up'")


# -- Without a terminal.


def test_piped_source_is_run_as_python_runs_it(tmp_path: Path) -> None:
    source = "import sys\nprint(sys.argv, sys.path[0], __name__, __file__)\nif True:\n    1\n1/0\n"
    plain, ours = python(stdin=source, cwd=tmp_path), run_loopkit(stdin=source, cwd=tmp_path)
    assert plain.code == 1
    assert ours == plain


def test_piped_source_may_await() -> None:
    assert run_loopkit(stdin="print(await asyncio.sleep(0, 'slept'))\nexit(3)").out == "slept\n"
    assert run_loopkit(stdin="await asyncio.sleep(0)\nexit(3)").code == 3
    assert run_loopkit("repl", "--poller", "poll", stdin="print(asyncio.new_event_loop())").out.startswith(
        "<Loop"
    )


def test_closed_standard_input_is_a_clear_error(tmp_path: Path) -> None:
    text = "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, '-m', 'loopkit'])"
    ended = python("-c", text, cwd=tmp_path)
    assert (ended.code, ended.err) == (2, "loopkit: standard input is closed\n")
