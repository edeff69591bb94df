"""Is every method of asyncio's loop probed, does all of it work here, and is the page still true?"""

import asyncio
import inspect
import json
import os
import subprocess
import sys

import pytest

from tests.compatibility import cli, measure, page
from tests.compatibility.registry import METHODS, PROBES, of, perform
from tests.support.programs import ROOT
from tests.support.pythons import cpython_only

HERE = sys.version_info[:2] == tuple(map(int, page.REFERENCE.split(".")))
on_the_reference = pytest.mark.skipif(not HERE, reason=f"the page is about Python {page.REFERENCE}")


# -- the probes ----------------------------------------------------------------------------------------------


def test_every_method_has_a_probe():
    assert [method for method in METHODS if not of(method)] == []


def test_every_keyword_of_a_method_is_tried():
    untried = [
        (method, parameter.name)
        for method in METHODS
        for parameter in inspect.signature(getattr(asyncio.AbstractEventLoop, method)).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
        and not any(f"{parameter.name}=" in probe.what for probe in of(method))
    ]
    # Since Python 3.11 no loop takes it.
    assert untried == [("create_datagram_endpoint", "reuse_address")]


def test_probes_belong_to_methods_and_have_names_of_their_own():
    assert {probe.method for probe in PROBES} <= set(METHODS)
    assert len({str(probe) for probe in PROBES}) == len(PROBES)


# A test per method, not per probe, because looking for leaks takes longer than most probes.
@pytest.mark.parametrize("method", METHODS)
def test_works_on_every_poller_and_leaves_nothing(method, new_loop):
    for probe in of(method):
        perform(probe, new_loop)


# -- the table -----------------------------------------------------------------------------------------------


def _output(*args):
    """What Python prints. Measuring forks, so it is done in a process of its own, and not in debug mode."""
    debugging = "PYTHONASYNCIODEBUG", "PYTHONDEVMODE"
    environment = {name: value for name, value in os.environ.items() if name not in debugging}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, *args]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


@pytest.mark.timeout(120)  # every probe on every loop, in one process
def test_all_of_it_works_and_the_page_says_so():
    results = measure.Results(**json.loads(_output("-m", "tests.compatibility", "--json")))
    for column in "loopkit", "asyncio":  # what asyncio fails is a wrong probe
        for method in METHODS:
            outcomes = results.of(column, method)
            assert outcomes == dict.fromkeys(outcomes), f"{method} on {column}"
    if not HERE:
        return
    text = page.PAGE.read_text()
    assert page.differences(text, results) == [], "run python -m tests.compatibility --write"
    if not page.comparable(text):
        here = "Python {}, uvloop {}".format(*page.versions())
        pytest.skip(f"uvloop's column was left out: the page has other versions than {here}")


@pytest.fixture
def fake():
    """Results in which everything works; not measured."""
    return measure.Results({loop: {str(probe): None for probe in PROBES} for loop in measure.LOOPS})


def _fail(results, loop, method, outcome, count=None):
    for probe in of(method)[:count]:
        results.outcomes[loop][str(probe)] = outcome


@cpython_only("there is no uvloop to count")
def test_status(fake):
    _fail(fake, "uvloop", "stop", "NotImplementedError")
    _fail(fake, "uvloop", "close", "NotImplementedError", count=1)
    _fail(fake, "uvloop", "call_soon", "crashes: SIGSEGV")
    _fail(fake, "busy", "call_later", "TypeError: no", count=1)
    assert [fake.status("uvloop", method) for method in ("stop", "close", "call_soon", "time")] == [
        "missing",
        "partial",
        "broken",
        "works",
    ]
    assert fake.status("loopkit", "call_later") == "partial"
    assert fake.of("loopkit", "call_later")[of("call_later")[0].what] == "busy: TypeError: no"


@on_the_reference
def test_the_command_tells_a_stale_page_by_its_exit_code(fake, tmp_path, capsys):
    path = tmp_path / "page.md"
    assert cli.main(["--check"], lambda: fake, path) == 1
    assert cli.main(["--write"], lambda: fake, path) == 0
    capsys.readouterr()
    assert cli.main(["--check"], lambda: fake, path) == 0
    assert capsys.readouterr() == ("", "")
    _fail(fake, "uvloop", "stop", "NotImplementedError")
    assert cli.main(["--check"], lambda: fake, path) == 1
    assert "not on the page: | `stop` | works | works | missing |" in capsys.readouterr().out


@on_the_reference
def test_a_page_of_another_uvloop_is_compared_without_it(fake, tmp_path, capsys):
    path = tmp_path / "page.md"
    _, uvloop = page.versions()
    path.write_text(page.render(fake).replace(f"uvloop {uvloop}", "uvloop 0.1"))
    _fail(fake, "uvloop", "stop", "NotImplementedError")
    assert cli.main(["--check"], lambda: fake, path) == 0
    assert "uvloop is left out" in capsys.readouterr().err
    _fail(fake, "select", "stop", "NotImplementedError", count=1)
    assert cli.main(["--check"], lambda: fake, path) == 1
    assert "stop: ['partial', 'works'], on the page ['works', 'works']" in capsys.readouterr().out


@pytest.mark.skipif(HERE, reason="the page is about this Python")
def test_another_python_does_not_write_the_page(tmp_path, capsys):
    assert cli.main(["--write"], pytest.fail, tmp_path / "page.md") == 2
    assert "the page is about Python 3.13" in capsys.readouterr().err


# -- the harness ---------------------------------------------------------------------------------------------

ODD = """
import asyncio, os, signal, subprocess, sys
from tests.compatibility.measure import measure
from tests.compatibility.registry import Probe

async def passes(loop):
    pass

async def fails(loop):
    raise LookupError("no\\nmore")

async def crashes(loop):
    os.kill(os.getpid(), signal.SIGSEGV)

async def leaves(loop):
    os._exit(3)

async def hangs(loop):
    subprocess.Popen(["sleep", "1000"])
    signal.pause()

functions = passes, fails, passes, crashes, leaves, hangs, passes
probes = [Probe("stop", str(number), function) for number, function in enumerate(functions)]
for outcome in measure(["asyncio"], probes, limit=1).outcomes["asyncio"].values():
    print(outcome)
"""


def test_a_crash_and_a_hang_are_results():
    # Reading to the end also waits for the child of the probe that hangs, unless it was ended.
    assert _output("-c", ODD).splitlines() == [
        "None",
        "LookupError: no",
        "None",
        "crashes: SIGSEGV",
        "crashes: exit code 3",
        "hangs: no result after 1 s",
        "None",
    ]
