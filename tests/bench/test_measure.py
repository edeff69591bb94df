"""Does every scenario measure something, and does a loop that fails get a line that says how?"""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from loopkit.bench import measure
from loopkit.bench.apps import missing
from loopkit.bench.loops import FLOOR, KNOWN, LOOPKIT, Contestant
from loopkit.bench.measure import Bench, find_program
from loopkit.bench.processes import Failure
from loopkit.bench.scenarios import GROUPS, SCENARIOS
from tests.bench.conftest import ASYNCIO, bad, tiny
from tests.support.processes import descendants, wait_until_gone

# The load process lives as long as the bench, which outlives one test.
pytestmark = pytest.mark.leaks("fds", "children", reason="the load process serves all tests of the module")


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_has_a_figure_on_asyncio(bench: Bench, name: str) -> None:
    scenario = tiny(name)
    if why := missing(scenario):
        pytest.skip(why)
    sample = bench.measure(scenario, ASYNCIO)
    assert sample["operations"] >= 1
    assert scenario.metric.key in sample
    if scenario.metric.key == "cpu":
        assert sample["cpu"] > 0
    if scenario.program[:1] != ("inside.py",) and scenario.load in ("echo", "churn"):
        assert 0 < sample["p50"] <= sample["p99"]


@pytest.mark.parametrize("name", GROUPS["echo"])
@pytest.mark.parametrize("loop", LOOPKIT, ids=lambda loop: loop.name)
def test_every_poller_runs_the_echo_program(bench: Bench, name: str, loop: Contestant) -> None:
    assert bench.measure(tiny(name), loop)["operations"] >= 1


@pytest.mark.parametrize("floor", sorted({scenario.floor for scenario in SCENARIOS.values()} - {""}))
def test_the_floor_serves_every_transport(bench: Bench, floor: str) -> None:
    name = next(scenario.name for scenario in SCENARIOS.values() if scenario.floor == floor)
    assert bench.measure(tiny(name), KNOWN[FLOOR])["operations"] >= 1


@pytest.mark.parametrize(
    ("loop", "scenario", "how"),
    [
        (bad("flips_a_bit"), "protocol", "wrong bytes on connection"),
        (bad("repeats"), "protocol", "wrong bytes on connection"),
        (bad("hangs_up"), "protocol", "closed connection|Connection reset"),
        (bad("dies"), "protocol", "the server died: killed by SIGABRT"),
        (
            bad("cannot_start"),
            "protocol",
            "did not start: RuntimeError: this loop needs a kernel from the future",
        ),
        (bad("cannot_start"), "sleep", "RuntimeError: this loop needs a kernel from the future"),
        (bad("no_tls"), "tls", "did not start: NotImplementedError: no TLS here"),
        (Contestant("nobody", "no_such_module:loop"), "protocol", "No module named 'no_such_module'"),
        (Contestant("nobody", "no_such_module:loop"), "import", "No module named 'no_such_module'"),
        (Contestant("nobody", "asyncio:no_such_loop"), "sleep", "has no attribute 'no_such_loop'"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_loop_that_fails_says_how_in_one_line(
    bench: Bench, loop: Contestant, scenario: str, how: str
) -> None:
    with pytest.raises(Failure, match=how) as failure:
        bench.measure(tiny(scenario), loop)
    assert "\n" not in str(failure.value)


def test_a_crowd_says_what_each_of_its_connections_costs(bench: Bench) -> None:
    sample = bench.measure(tiny("scale-1000"), ASYNCIO)
    assert sample["connect"] > 0
    assert sample["rss"] >= 0  # twenty connections may fit in pages that are there already


def test_who_waits_in_a_full_backlog_is_served_when_the_server_wakes(bench: Bench) -> None:
    sample = bench.measure(replace(tiny("scale-backlog"), connections=100), ASYNCIO)
    assert sample["operations"] % 100 == 0


def test_a_server_that_does_not_serve_its_backlog_is_given_up(bench: Bench) -> None:
    with pytest.raises(Failure, match=r"connection 0 of 4 was not served in 5 s"):
        bench.measure(tiny("scale-backlog"), bad("says_nothing"))


def test_a_server_that_never_replies_is_given_up(bench: Bench) -> None:
    with pytest.raises(Failure, match="no reply on any of 4 connections for 5 s"):
        bench.measure(tiny("protocol"), bad("says_nothing"))


def test_a_load_that_never_ends_is_given_up_and_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = replace(tiny("protocol"), seconds=1e6)
    with monkeypatch.context() as patch:
        patch.setattr(measure, "ANSWER_LIMIT", -endless.seconds * bench.settings.scale)
        with pytest.raises(Failure, match="the load said nothing for 0 s"):
            bench.measure(endless, ASYNCIO)
    assert bench.measure(tiny("protocol"), ASYNCIO)["operations"] >= 1


def test_a_missing_openssl_is_a_line_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    from loopkit.bench.placement import Placement

    monkeypatch.setenv("PATH", "/nonexistent")
    with (
        Bench(measure.Settings(scale=0.02), Placement()) as bench,
        pytest.raises(Failure, match="no `openssl` program"),
    ):
        bench.measure(tiny("tls"), ASYNCIO)


@pytest.mark.parametrize("name", ["protocol", "sleep"])
def test_system_calls_are_counted_where_strace_may(bench: Bench, name: str) -> None:
    try:
        calls = bench.count_syscalls(tiny(name), ASYNCIO)
    except Failure as failure:
        pytest.skip(str(failure))
    expected = {"protocol": "sendto", "sleep": "epoll_wait"}[name]
    assert calls[expected] >= 0.9


def test_a_missing_strace_is_a_failure_that_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.measure(tiny("protocol"), ASYNCIO)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Failure, match="strace is not installed"):
        bench.count_syscalls(tiny("sleep"), ASYNCIO)


def test_every_program_is_found() -> None:
    for scenario in SCENARIOS.values():
        if scenario.program:
            assert find_program(scenario.program[0]).is_file()
    with pytest.raises(FileNotFoundError, match="nosuch.py is missing"):
        find_program("nosuch.py")


def test_a_loop_that_is_looked_at_is_told_so_by_its_environment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no other one is, whatever the shell has set."""
    monkeypatch.setenv("LOOPKIT_METRICS", "1")
    told = Contestant("told", "tests.bench.bad_loops:asks", settings=(("LOOPKIT_METRICS", "print"),))
    with pytest.raises(Failure, match="LOOPKIT_METRICS is print"):
        bench.measure(tiny("ping-pong"), told)
    with pytest.raises(Failure, match="LOOPKIT_METRICS is None"):
        bench.measure(tiny("ping-pong"), replace(told, settings=()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_shows_what_there_is_and_leaves_no_process(number: signal.Signals) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from loopkit.cli.bench import main; sys.exit(main(sys.argv[1:]))",
    ]
    command += ["protocol", "--loops", "asyncio", "--rounds", "500"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        # Progress tells when a round begins; by the third, two rounds are complete.
        while "round 3" not in process.stderr.readline():
            assert process.poll() is None
        children = descendants(process.pid)
        os.kill(process.pid, number)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted: yes" in out
    assert "requests/s" in out
    assert "Traceback" not in errors
    assert children
    assert not wait_until_gone(children, 5)
