"""Does a program notice that loopkit runs it? Each question is put to ``python`` too."""

import os
import py_compile
import signal
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

from tests.cli.commands import LIMIT, LOOPKIT, both, environment, python, run_loopkit
from tests.support.pythons import PYPY

# Every way to name a program, as words of a command line.
FORMS = {
    "script": ["app.py"],
    "script with a dot": ["./app.py"],
    "script without extension": ["script"],
    "script elsewhere": ["elsewhere/real.py"],
    "link": ["link.py"],
    "compiled": ["compiled.pyc"],
    "folder": ["folder"],
    "zip": ["app.pyz"],
    "module": ["-m", "app"],
    "module in one word": ["-mapp"],
    "package": ["-m", "package"],
    "module in packages": ["-m", "package.inner.app"],
}
every_form = pytest.mark.parametrize("words", FORMS.values(), ids=FORMS.keys())
script_and_module = pytest.mark.parametrize("words", [["app.py"], ["-m", "app"]], ids=["script", "module"])


def write_forms(folder: Path, text: str) -> None:
    """Write a program so that each of FORMS finds it."""
    for name in ("folder", "package/inner", "elsewhere"):
        (folder / name).mkdir(parents=True)
    (folder / "package/__init__.py").write_text("import sys\nprint('the package sees', sys.argv)\n")
    (folder / "package/inner/__init__.py").write_text("")
    for name in ("app.py", "script", "elsewhere/real.py", "folder/__main__.py", "package/__main__.py"):
        (folder / name).write_text(text)
    (folder / "package/inner/app.py").write_text(text)
    (folder / "link.py").symlink_to("elsewhere/real.py")
    zipapp.create_archive(folder / "folder", folder / "app.pyz")
    py_compile.compile(str(folder / "app.py"), cfile=str(folder / "compiled.pyc"))


LOOK = """\
import os, sys
print(*((name, repr(value)[:300]) for name, value in globals().items() if name != "__builtins__"), sep="\\n")
print(sys.argv, sys.path, os.getcwd())
print(sys.modules["__main__"].__dict__ is globals(), type(__builtins__), sys.flags)
"""


@pytest.mark.parametrize("options", [(), ("-P",)], ids=["", "-P"])
@every_form
def test_sees_its_own_arguments_path_and_module(
    tmp_path: Path, words: list[str], options: tuple[str, ...]
) -> None:
    write_forms(tmp_path, LOOK)
    path = {"PYTHONPATH": f"{environment()['PYTHONPATH']}:{tmp_path}"} if "-P" in options else {}
    plain, ours = both(*words, "an", "--argument", "-m", cwd=tmp_path, options=options, **path)
    assert plain.code == 0, plain.err
    assert ours == plain


@pytest.mark.parametrize("words", [["-c", LOOK], ["-c" + LOOK], ["-"]], ids=["-c", "-cCODE", "-"])
def test_code_and_standard_input_see_what_python_shows_them(tmp_path: Path, words: list[str]) -> None:
    plain, ours = both(*words, "an", "-c", "argument", cwd=tmp_path, stdin=LOOK)
    assert plain.code == 0, plain.err
    assert ours == plain


def test_an_absolute_path_is_left_as_it_is(tmp_path: Path) -> None:
    write_forms(tmp_path, LOOK)
    plain, ours = both(str(tmp_path / "app.py"), cwd=Path("/"))
    assert ours == plain


ENDINGS = {
    "falls off the end": "print('done')",
    "exit": "import sys; sys.exit()",
    "exit 3": "import sys; sys.exit(3)",
    "exit 260": "raise SystemExit(260)",
    "exit -1": "raise SystemExit(-1)",
    "exit words": "import sys; sys.exit('words for stderr')",
    "exit tuple": "raise SystemExit((1, 2))",
    "error": "def f():\n    1/0\nf()",
    "chained error": "try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise ValueError('x') from e",
    "group": "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])",
    "error with a note": "e = ValueError(); e.add_note('noted'); raise e",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "interrupted": "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "os._exit": "import os; print('lost'); os._exit(5)",
    "own hook": "import sys; sys.excepthook = lambda *a: print('hook', a[0], a[1])\n1/0",
    "own hook exits": "import sys; sys.excepthook = lambda *a: sys.exit(9)\n1/0",
    "own hook, interrupted": "import sys; sys.excepthook = lambda *a: print(a[0])\nraise KeyboardInterrupt",
    "at exit": "import atexit, sys; atexit.register(print, 'late', file=sys.stderr)\nraise KeyboardInterrupt",
    "last exception": "import atexit, sys, traceback\n"
    "atexit.register(lambda: traceback.print_exception(None, sys.last_value, sys.last_traceback))\n1/0",
    "thread outlives it": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.1), print('end'))).start()\n1/0",
    "error in a thread": "import threading; t = threading.Thread(target=lambda: 1/0); t.start(); t.join()",
    "syntax error": "def f(:\n    pass",
    "syntax error later": "x = 1\nprint('never')\n  y = 2\n",
    "error while compiling a string": "exec('def')",
    "future": "from __future__ import annotations\ndef f(x: nonsense): pass\nprint(f.__annotations__)",
    "no leak of our future": "def f(x: int): pass\nprint(f.__annotations__)",
}


@pytest.mark.parametrize("form", ["script", "module", "code", "stdin"])
@pytest.mark.parametrize("text", ENDINGS.values(), ids=ENDINGS.keys())
def test_ends_as_it_would_under_python(tmp_path: Path, text: str, form: str) -> None:
    if PYPY and text == ENDINGS["own hook exits"]:
        pytest.skip("PyPy shows what an exception hook raises, SystemExit too, with the frames before")
    (tmp_path / "app.py").write_text(text)
    words = {"script": ["app.py"], "module": ["-m", "app"], "code": ["-c", text], "stdin": ["-"]}[form]
    plain, ours = both(*words, cwd=tmp_path, stdin=text if form == "stdin" else "")
    if form == "module" and "syntax error" in plain.err:
        plain, ours = (ended._replace(err=ended.err.rpartition("File")[2]) for ended in (plain, ours))
    assert ours == plain


def test_an_interrupt_is_seen_by_the_parent_as_death_by_that_signal(tmp_path: Path) -> None:
    ended = run_loopkit("-c", "raise KeyboardInterrupt", cwd=tmp_path)
    assert ended.code == -signal.SIGINT
    assert ended.err.startswith("Traceback")


def test_ctrl_c_ends_asyncio_run_by_cancelling_it(tmp_path: Path) -> None:
    program = """\
import asyncio
async def main():
    try:
        print("ready", flush=True)
        await asyncio.sleep(60)
    finally:
        print("cleaned up", flush=True)
asyncio.run(main())
"""
    command = [sys.executable, *LOOPKIT, "-c", program]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == -signal.SIGINT
    assert out == "cleaned up\n"
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "loopkit/cli" not in err


def test_a_broken_pipe_breaks_it_as_it_would_under_python(tmp_path: Path) -> None:
    ended = []
    for words in ([], LOOPKIT):
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "wb") as pipe:
            command = [sys.executable, *words, "-c", "print('x' * 100)"]
            run = subprocess.run(
                command, stdout=pipe, stderr=subprocess.PIPE, cwd=tmp_path, timeout=LIMIT, env=environment()
            )
        ended.append((run.returncode, run.stderr))
    assert ended[0][0] != 0
    assert ended[1] == ended[0]


def test_it_may_read_standard_input(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import sys; print(input(), sys.stdin.read())")
    plain, ours = both("app.py", cwd=tmp_path, stdin="one\ntwo\n")
    assert plain.out == "one two\n\n"
    assert ours == plain


@script_and_module
def test_the_encoding_it_declares_is_obeyed(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "app.py").write_bytes(b"# coding: latin-1\nprint(ascii('\xe9'))")
    plain, ours = both(*words, cwd=tmp_path)
    assert plain.out == "'\\xe9'\n"
    assert ours == plain


PICKLES = """\
import atexit, functools, pickle
class Thing:
    def __eq__(self, other):
        return type(other) is Thing
def check(when):
    print(when, pickle.loads(pickle.dumps(Thing())) == Thing(), pickle.loads(pickle.dumps(check)) is check)
check("now")
atexit.register(check, "at exit")
"""


@every_form
def test_pickle_finds_its_classes_even_at_exit(tmp_path: Path, words: list[str]) -> None:
    write_forms(tmp_path, PICKLES)
    plain, ours = both(*words, cwd=tmp_path)
    assert "at exit True True" in plain.out
    assert ours == plain


POOL = """\
import multiprocessing, sys
class Number:
    def __init__(self, n):
        self.n = n
def square(number):
    return Number(number.n ** 2)
if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print([number.n for number in pool.map(square, map(Number, range(4)))])
        pool.close()
        pool.join()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.parametrize("form", ["script", "link", "module in packages"])
def test_multiprocessing_finds_its_functions(tmp_path: Path, form: str, method: str) -> None:
    write_forms(tmp_path, POOL)
    plain, ours = both(*FORMS[form], method, cwd=tmp_path)
    assert "[0, 1, 4, 9]\n" in plain.out
    assert ours == plain


def test_a_fork_of_it_ends_on_its_own(tmp_path: Path) -> None:
    text = "import os\nif os.fork():\n    print(os.wait()[1])\nelse:\n    raise SystemExit(4)"
    plain, ours = both("-c", text, cwd=tmp_path)
    assert plain.out == f"{4 << 8}\n"
    assert ours == plain


# -- What is different: the loop.

WHICH_LOOP = """\
import asyncio
async def main():
    loop = asyncio.get_running_loop()
    print(type(loop).__module__.split(".")[0], loop.poller_name, loop.get_debug())
asyncio.run(main())
"""


@script_and_module
def test_its_loop_is_loopkits(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "app.py").write_text(WHICH_LOOP)
    assert run_loopkit(*words, cwd=tmp_path, LOOPKIT_POLLER="poll").out == "loopkit poll False\n"


@pytest.mark.parametrize("options", [["--poller", "select"], ["--poller=select"]])
def test_poller_and_debug_mode_can_be_chosen(options: list[str]) -> None:
    words = [*options, "--debug", "-c", WHICH_LOOP]
    assert run_loopkit(*words, LOOPKIT_POLLER="poll").out == "loopkit select True\n"
    assert run_loopkit("run", *words).out == "loopkit select True\n"
    assert run_loopkit(*options, "--debug", "run", "-c", WHICH_LOOP).out == "loopkit select True\n"


def test_a_child_process_inherits_the_choice() -> None:
    text = f"import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'loopkit', '-c', {WHICH_LOOP!r}])"
    assert run_loopkit("--poller", "select", "--debug", "-c", text).out == "loopkit select True\n"


def test_a_child_by_fork_has_the_loop_too() -> None:
    text = f"import os\nif os.fork():\n    os.wait()\nelse:\n    exec({WHICH_LOOP!r})"
    assert run_loopkit("--poller", "select", "-c", text).out == "loopkit select False\n"


# -- Composition with other tools.


def test_python_options_before_it_hold(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import sys, asyncio\nprint(sys.flags.dev_mode, sys.warnoptions)\n" + WHICH_LOOP
    )
    ended = python("-X", "dev", "-W", "error", *LOOPKIT, "--poller", "poll", "app.py", cwd=tmp_path)
    assert ended.out == "True ['default', 'error']\nloopkit poll True\n"
    assert ended.err == ""


def test_it_can_run_a_tool_that_runs_programs(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import asyncio, loopkit\n"
        "def test_loop():\n"
        "    loop = asyncio.new_event_loop()\n"
        "    loop.close()\n"
        "    assert isinstance(loop, loopkit.Loop)\n"
    )
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    bare = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    ended = run_loopkit(*words, "test_it.py", cwd=tmp_path, **bare)
    assert ended.code == 0, ended.out
    assert run_loopkit(*words, "no_such_test.py", cwd=tmp_path, **bare).code == 4


def test_it_can_be_run_by_a_tool_that_runs_programs(tmp_path: Path) -> None:
    """As coverage and cProfile do: in the same process, with their own module as __main__ before ours."""
    (tmp_path / "app.py").write_text("import sys\nprint(sys.argv, __name__)\n1/0")
    tool = "import runpy, sys; sys.argv[1:] = ['app.py', 'a']; runpy.run_module('loopkit', None, '__main__')"
    ended = python("-c", tool, cwd=tmp_path)
    assert (ended.code, ended.out) == (1, "['app.py', 'a'] __main__\n")
    assert ended.err.count("File ") == 1


@pytest.mark.parametrize("text", ["def f(:", "1/0", "raise SystemExit(3)"])
def test_the_installed_command_ends_as_python_does(tmp_path: Path, text: str) -> None:
    """It is a script, which CPython up to 3.13 goes on to use after it has let go of it."""
    (tmp_path / "app.py").write_text(text)
    (tmp_path / "loopkit-command").write_text("import sys\nfrom loopkit.cli import main\nsys.exit(main())\n")
    plain = python("app.py", cwd=tmp_path)
    for words in (["app.py"], ["trace", "-o", "t.html", "app.py"]):
        ours = python("loopkit-command", *words, cwd=tmp_path, PYTHONMALLOC="debug")
        assert ours.code == plain.code
        assert ours.err.removeprefix("loopkit: no loop has turned: there is nothing to write\n") == plain.err


def test_starting_loads_nothing_that_the_program_did_not_ask_for() -> None:
    text = "import sys; print(*sorted(sys.modules))"
    asked = python("-c", f"import loopkit, runpy, importlib.util; {text}")
    got = run_loopkit("-c", text)
    ours = {"loopkit.cli", "loopkit.cli.options", "loopkit.cli.run"}
    assert set(got.out.split()) - set(asked.out.split()) == ours


# -- What is said at the end.


@pytest.mark.parametrize("more", ["", "import uvicorn, "])
def test_a_program_that_took_another_loop_is_told_so(more: str) -> None:
    pytest.importorskip("uvloop")
    if more:
        pytest.importorskip("uvicorn")
    text = f"import asyncio, {more.removeprefix('import ')}uvloop\nuvloop.new_event_loop().close()"
    said = run_loopkit("-c", text).err
    assert said.startswith("loopkit: this program ran on uvloop, not on loopkit")
    assert ("--loop none" in said) == bool(more)
    assert said.count("\n") == 1


def test_a_program_that_only_knows_of_another_loop_is_told_nothing() -> None:
    pytest.importorskip("uvloop")
    assert run_loopkit("-c", "import uvloop, asyncio; asyncio.run(asyncio.sleep(0))").err == ""
    assert run_loopkit("-c", "print(1)").err == ""
