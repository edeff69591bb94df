"""What does a wrong command line get? One line that says what to do, and exit code 2."""

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from loopkit.cli import VERBS
from tests.cli.commands import LIMIT, LOOPKIT, SOURCE, environment, python, run_loopkit

WRONG = {
    "missing file": (["nowhere.py"], "can't open file 'nowhere.py': [Errno 2] No such file or directory"),
    "misspelt verb": (["doctr"], "(did you mean doctor?)"),
    "no such verb": (["xyzzy"], "no verb has that name: run, repl, doctor"),
    "misspelt option": (["--pollar=epoll", "text.py"], "'--pollar=epoll' (did you mean --poller?)"),
    "file in no folder": (["nowhere/app.py"], "[Errno 2] No such file"),
    "file as a folder": (["text.py/app.py"], "[Errno 20] Not a directory"),
    "unreadable": (["/proc/self/mem"], "can't open file '/proc/self/mem': [Errno 5]"),
    "empty folder": (["empty"], "can't find '__main__' module in"),
    "binary": (["binary.py"], "'binary.py' is not a Python program: it holds NUL bytes"),
    "not UTF-8": (["latin.py"], "'latin.py' is not a Python program"),
    "unknown encoding": (["coded.py"], "unknown encoding: nonsense"),
    "old bytecode": (["old.pyc"], "'old.pyc' was not compiled by Python 3."),
    "missing module": (["-m", "nowhere"], "No module named nowhere"),
    "missing submodule": (["-m", "json.nowhere"], "No module named json.nowhere"),
    "package without main": (["-m", "email"], "'email' is a package and cannot be directly executed"),
    "relative module": (["-m", ".json"], "Relative module names not supported"),
    "module without code": (["-m", "sys"], "No code object available for sys"),
    "no module": (["-m"], "-m needs the name of a module"),
    "no code": (["-c"], "-c needs code"),
    "nothing to run": (["run"], "run needs a file, -m MODULE, -c CODE, or -"),
    "unknown option": (["--nonsense", "text.py"], "unknown option '--nonsense'; see loopkit --help"),
    "python's option": (["-X", "dev"], "unknown option '-X'"),
    "unknown poller": (
        ["--poller", "kqueue", "-c", ""],
        "no poller is called 'kqueue'; choose one of epoll, poll",
    ),
    "no poller": (["--poller"], "--poller needs a name"),
    "words for the prompt": (["repl", "app.py"], "repl takes no 'app.py'"),
    "unknown poller of doctor": (["doctor", "--poller", "kqueue"], "choose one of epoll, poll, select, busy"),
    "words for doctor": (["doctor", "please"], "doctor does not understand 'please'"),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG.keys())
def test_bad_usage_is_one_clear_line_and_exit_code_2(tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.py").write_text("print('ran')")
    (tmp_path / "binary.py").write_bytes(b"x = 1\0\x7fELF")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'")
    (tmp_path / "coded.py").write_text("# coding: nonsense\n")
    (tmp_path / "old.pyc").write_bytes(b"\0" * 40)
    ended = run_loopkit(*words, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("loopkit: ")
    assert message in ended.err


def test_a_wrong_environment_variable_is_named(tmp_path: Path) -> None:
    ended = run_loopkit("-c", "print('ran')", cwd=tmp_path, LOOPKIT_POLLER="kqueue")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "LOOPKIT_POLLER" in ended.err
    assert "epoll, poll, select, busy" in ended.err
    assert run_loopkit("--poller", "poll", "-c", "print('ran')", LOOPKIT_POLLER="kqueue").out == "ran\n"


def test_debug_that_python_would_ignore_is_refused() -> None:
    ended = python("-E", "-m", "loopkit", "--debug", "-c", "", cwd=SOURCE)
    assert ended.code == 2
    assert "use python -X dev" in ended.err


def test_an_error_inside_a_module_is_not_taken_for_its_absence(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").write_text("import nowhere_at_all")
    ended = run_loopkit("-m", "package.module", cwd=tmp_path)
    assert ended.code == 1
    assert "No module named 'nowhere_at_all'" in ended.err
    assert "loopkit/cli" not in ended.err


def test_a_file_with_the_name_of_a_verb_can_be_run(tmp_path: Path) -> None:
    (tmp_path / "doctor").write_text("import sys; print(sys.argv)")
    assert run_loopkit("run", "doctor", "a", cwd=tmp_path).out == "['doctor', 'a']\n"
    assert run_loopkit("./doctor", "run", cwd=tmp_path).out == "['./doctor', 'run']\n"


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["run", "--help"], ["repl", "-h"]])
def test_help_names_every_verb_and_poller(words: list[str]) -> None:
    from loopkit.pollers import POLLERS

    ended = run_loopkit(*words)
    assert (ended.code, ended.err) == (0, "")
    for name in (*VERBS, *POLLERS, "--debug", "--version"):
        assert name in ended.out


HELP = [
    ["--help"],
    *([verb, "--help"] for verb in VERBS),
    *(["bench", verb, "--help"] for verb in ("compare", "show", "models")),
    ["check", "--lang=zh", "--help"],
]


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_fits_eighty_columns_and_says_how_it_is_used(words: list[str]) -> None:
    ended = run_loopkit(*words, COLUMNS="80", PYTHONIOENCODING="utf-8")
    assert (ended.code, ended.err) == (0, "")
    assert " loopkit " in ended.out.splitlines()[0].replace("\uff1a", ": ")
    # A Chinese character takes two columns.
    wide = [
        sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in line) for line in ended.out.splitlines()
    ]
    assert max(wide) < 80


def test_help_says_that_standard_input_can_be_run() -> None:
    assert "loopkit [OPTIONS] - [ARGS...]" in run_loopkit("--help").out
    assert run_loopkit("-", "a", stdin="import sys; print(sys.argv)").out == "['-', 'a']\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["repl", "-V"],
        ["doctor", "--help"],
        ["check", "--help"],
        ["bench", "--list"],
    ],
)
def test_nobody_reading_is_no_traceback(words: list[str], unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, *LOOPKIT, *words],
            env=environment(PYTHONUNBUFFERED=unbuffered),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=LIMIT,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LOOPKIT_METRICS", "yes", "LOOPKIT_METRICS is 1, or print for a summary at the end, not 'yes'"),
        ("LOOPKIT_WATCH", "soon", "LOOPKIT_WATCH is seconds, from 0.001 to 3600, not 'soon'"),
        ("LOOPKIT_WATCH", "9999", "LOOPKIT_WATCH is seconds, from 0.001 to 3600, not '9999'"),
        (
            "LOOPKIT_RECORD",
            "x.svg",
            "LOOPKIT_RECORD: a trace is written as .html, .json, .txt, not as 'x.svg'",
        ),
        ("LOOPKIT_AGENT", "yes", "LOOPKIT_AGENT is 1, not 'yes'"),
        ("LOOPKIT_DUMP_SIGNAL", "x", "LOOPKIT_DUMP_SIGNAL: there is no signal 'x': it is one as USR1"),
    ],
)
def test_a_variable_that_makes_no_sense_is_one_line(name: str, value: str, said: str) -> None:
    ended = run_loopkit("-c", "print('never')", **{name: value})
    assert ended == (2, "", f"loopkit: {said}\n")


def test_a_variable_that_python_was_told_to_ignore_is_not_looked_at() -> None:
    ended = python("-E", *LOOPKIT, "-c", "print('runs')", LOOPKIT_WATCH="soon")
    assert ended == (0, "runs\n", "")


def test_every_verb_has_its_module() -> None:
    from importlib import import_module

    for verb in VERBS:
        assert callable(import_module(f"loopkit.cli.{verb}").main)


def test_version() -> None:
    import loopkit

    assert run_loopkit("--version").out == run_loopkit("-V").out == f"loopkit {loopkit.__version__}\n"
