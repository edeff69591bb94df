"""Does doctor tell the truth: about this machine, about a loop that works, about one that does not?"""

import json
import os
import platform
import resource
import subprocess
import sys

import pytest

from loopkit.pollers import POLLERS
from tests.cli.commands import LIMIT, LOOPKIT, Ended, environment, python, run_loopkit


def test_all_pollers_work_here_and_the_exit_code_says_so() -> None:
    ended = run_loopkit("doctor")
    assert ended.code == 0, ended.out
    assert ended.err == ""
    assert "All is well." in ended.out
    for name in POLLERS:
        assert name in ended.out
    assert platform.python_version() in ended.out


def test_json_holds_every_fact_and_check() -> None:
    ended = run_loopkit("doctor", "--json", LOOPKIT_POLLER="select")
    report = json.loads(ended.out)
    assert (ended.code, report["ok"], report["problems"]) == (0, True, [])
    assert report["python"]["version"] == platform.python_version()
    assert report["kernel"]["release"] == platform.release()
    assert list(report["pollers"]) == list(report["checks"]) == list(POLLERS)
    assert report["pollers"]["select"]["limit"] == 1023
    assert report["default"] == {"poller": "select", "reason": "LOOPKIT_POLLER"}
    assert report["LOOPKIT_POLLER"] == "select"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert report["descriptors"] == {"soft": soft, "hard": hard}
    assert report["loop_in_use"] is None
    for checks in report["checks"].values():
        assert {"TCP echo", "timers", "signals", "calls from threads"} <= set(checks)
        for name, outcome in checks.items():
            assert outcome["status"] in ("ok", "not available"), (name, outcome)


def test_one_poller_can_be_chosen() -> None:
    for words in (["doctor", "--poller", "poll"], ["--poller=poll", "doctor"]):
        assert list(json.loads(run_loopkit(*words, "--json").out)["checks"]) == ["poll"]


def test_a_wrong_variable_is_a_problem() -> None:
    ended = run_loopkit("doctor", "--poller", "poll", LOOPKIT_POLLER="kqueue")
    assert ended.code == 1
    assert "problem: LOOPKIT_POLLER: no poller is called 'kqueue'; choose one of epoll" in ended.out


def examine(sabotage: str, *words: str, more: str = "") -> Ended:
    """Run doctor in a Python in which *sabotage* was done to loopkit's PollLoop."""
    program = f"import sys, asyncio, loopkit\nfrom loopkit.cli import checks, main\n{more}\n"
    program += f"class Loop(loopkit.PollLoop):\n    {sabotage}\nloopkit.PollLoop = Loop\n"
    return python("-c", program + "sys.exit(main(['doctor', '--poller', 'poll', *sys.argv[1:]]))", *words)


def test_a_loop_that_does_something_wrong_fails_its_check() -> None:
    ended = examine("run_in_executor = lambda self, _, f: self.create_task(asyncio.sleep(0, f()))")
    assert ended.code == 1
    assert "problem: poll: executor: RuntimeError: it ran in the loop's own thread" in ended.out
    ended = examine("run_in_executor = lambda self, _, f: 1 / 0", "--json")
    assert ended.code == 1
    report = json.loads(ended.out)
    assert (report["ok"], report["problems"]) == (
        False,
        ["poll: executor: ZeroDivisionError: division by zero"],
    )
    assert report["checks"]["poll"]["executor"]["status"] == "failed"


def test_a_loop_that_hangs_fails_its_check_in_time() -> None:
    ended = examine("call_soon_threadsafe = lambda self, *_, **__: None", "--json", more="checks.LIMIT = 0.5")
    assert ended.code == 1
    outcome = json.loads(ended.out)["checks"]["poll"]["calls from threads"]
    assert (outcome["status"], outcome["detail"]) == ("failed", "TimeoutError: no end after 0.5 seconds")


def test_a_method_that_is_not_there_is_no_failure() -> None:
    ended = examine("async def sock_recv(self, *_): raise NotImplementedError('not here')", "--json")
    assert ended.code == 0
    outcome = json.loads(ended.out)["checks"]["poll"]["sock_recv, sock_sendall"]
    assert (outcome["status"], outcome["detail"]) == ("not available", "not here")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="setting a policy warns")
def test_an_explicit_policy_is_named_without_importing_other_loops() -> None:
    program = "import sys, asyncio\nfrom loopkit.cli import main\n"
    program += "asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())\n"
    program += "main(['doctor', '--poller', 'poll', '--json'])\nassert 'uvloop' not in sys.modules"
    ended = python("-c", program)
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    assert report["loop_in_use"] == "asyncio.unix_events._UnixDefaultEventLoopPolicy"


def test_other_loops_are_listed_with_their_version() -> None:
    metadata = pytest.importorskip("importlib.metadata")
    pytest.importorskip("uvloop")
    report = json.loads(run_loopkit("doctor", "--poller", "poll", "--json").out)
    assert report["other_loops"]["uvloop"] == metadata.version("uvloop")


def test_output_needs_no_rich_and_survives_a_closed_pipe() -> None:
    program = "import sys; sys.modules['rich'] = None\nfrom loopkit.cli import main\n"
    ended = python("-c", program + "sys.exit(main(['doctor', '--poller', 'poll']))")
    assert (ended.code, ended.err) == (0, "")
    assert "TCP echo" in ended.out
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        run = subprocess.run(
            [sys.executable, *LOOPKIT, "doctor", "--poller", "poll"],
            env=environment(),
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=LIMIT,
        )
    assert (run.returncode, run.stderr) == (1, b"")
