"""Can the score be believed?"""

import json
import signal
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.support.processes import descendants, wait_until_gone
from tests.support.pythons import cpython_only

from . import cli, exclusions, parent, report, targets
from .modules import MODULES

pytestmark = cpython_only("its suite comes with CPython")

LOOPS = f"{__package__}.odd_loops"


def run(loop: str, module: str, test: str = "", seconds: float = 30.0) -> parent.ModuleScore:
    """One module of CPython's, or the tests in it whose name contains `test`."""
    return parent.run_module(loop, module, parent.Options(test, seconds=seconds))


def test_a_loop_that_is_right_has_no_failures() -> None:
    score = run("asyncio", "test_context")
    assert not score.failed
    assert score.on_loop == score.passed > 0


def test_a_hang_is_one_failed_test_and_the_next_one_runs() -> None:
    failed = run(f"{LOOPS}:NeverAnswers", "test_threads", "test_to_thread_con", seconds=1).failed
    assert [reason.partition(", at")[0] for reason in failed.values()] == ["hung: no result after 1 s"] * 2


def test_a_crash_is_one_failed_test() -> None:
    failed = run(f"{LOOPS}:Crashes", "test_context").failed
    assert set(failed.values()) == {"the process died of SIGSEGV"}


def test_a_test_that_ran_on_another_loop_has_failed() -> None:
    failed = run(f"{LOOPS}:hands_out_others", "test_threads", "test_to_thread_once").failed
    assert all("instead of the loop under test" in reason for reason in failed.values())
    assert failed


def test_a_loop_left_running_is_a_failure() -> None:
    failed = run(f"{LOOPS}:StaysRunning", "test_threads", "test_to_thread_once").failed
    assert all("running" in reason for reason in failed.values())
    assert failed


def test_the_reference_is_not_the_loop_that_asyncio_makes_by_itself() -> None:
    import asyncio

    loop = asyncio.SelectorEventLoop()
    loop.close()
    assert not isinstance(loop, targets.load("asyncio").type)


# --- exclusions ------------------------------------------------------------------------------------


def test_every_exclusion_has_a_reason() -> None:
    with pytest.raises(ValueError, match="no reason is given for excluding test_x.Y.test_z"):
        exclusions.parse("test_x.Y.test_z")


def test_no_test_is_excluded_twice() -> None:
    with pytest.raises(ValueError, match="excluded twice"):
        exclusions.parse("a.b.c  one\na.b.c  two")
    literal = [test for test in exclusions.white_box() if not test.endswith("*")]
    patterns = [test.removesuffix("*") for test in exclusions.white_box() if test.endswith("*")]
    assert not [test for test in literal for pattern in patterns if test.startswith(pattern)]


def test_patterns_name_whole_classes() -> None:
    for pattern in exclusions.listed():
        module, case, test = pattern.rpartition(":")[2].split(".")
        assert module in MODULES
        assert "*" not in case
        assert test == "*" or "*" not in test


@pytest.mark.timeout(120)
def test_what_is_excluded_exists() -> None:
    patterns = list(exclusions.white_box())
    for loop in targets.TARGETS:
        patterns += exclusions.inherent(loop)
    modules = {pattern.partition(".")[0] for pattern in patterns}
    tests = [test for module in modules for test in parent.names(module)]
    assert [pattern for pattern in patterns if not any(fnmatchcase(test, pattern) for test in tests)] == []


def test_exclusions_for_one_loop_name_a_loop_that_we_test() -> None:
    lines = (Path(exclusions.__file__).parent / "inherent.txt").read_text().splitlines()
    named = {line.partition(" ")[0] for line in lines if line and not line.startswith("#")}
    assert named <= set(targets.TARGETS)


# --- the command and the page ----------------------------------------------------------------------


def test_the_command_prints_the_names_and_reasons_of_failures(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--loop", f"{LOOPS}:Crashes", "--module", "test_context"]) == 1
    assert "test_context.DecimalContextTest.test_asyncio_task_decimal_context" in capsys.readouterr().out


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--loop", "asyncio", "--module", "test_context", "--json"]) == 0
    (score,) = json.loads(capsys.readouterr().out)["scores"]
    assert score["passed"] == 1


@pytest.mark.parametrize(
    "arguments",
    [["--loop", "nothing"], ["--loop", "no.such:Loop"], ["--loop", "builtins:dict"], ["--module", "test_x"]],
)
def test_bad_usage_is_one_line_and_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--loop", "asyncio", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("conformance: ")
    assert error.count("\n") == 1


def test_ctrl_c_ends_the_workers() -> None:
    command = [sys.executable, "-m", __package__, "--loop", "asyncio", "--workers", "2"]
    command += ["--module", "test_context", "--module", "test_ssl"]
    with subprocess.Popen(
        command, cwd=parent.ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stderr is not None
        assert b"test_context" in process.stderr.readline()
        workers = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert workers
    assert not wait_until_gone(workers, 10)


def test_writing_the_page_keeps_the_sections_of_other_versions(tmp_path: Path) -> None:
    page = tmp_path / "conformance.md"
    page.write_text("# Conformance\n\nold\n\n## Python 3.99\n\nkept\n\n## Python 3.1\n\nkept too\n")
    score = parent.ModuleScore("asyncio", "test_x", passed=1, failed={"test_x.A.t": "no"}, excluded={})
    report.write([score], page)
    report.write([score], page)
    text = page.read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[0] == "## Python 3.99"
    assert headings[-1] == "## Python 3.1"
    assert len(headings) == 3
    assert "old" not in text
    assert "| test_x | 1 / 1 / - |" in text
    assert "- `test_x.A.t`: `no`" in text
