"""Metrics: are they true, and do they cost nothing while nobody asks?"""

import asyncio
import dis
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest

import loopkit
from loopkit.diagnostics.metrics import Histogram, Meter, meter, metrics, openmetrics
from tests.support.net import unix_pair


class Clock:
    """Moves when a callback or the poll says so: the truth is then known to the microsecond."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clocked():
    """A loop that sleeps by moving the clock."""
    clock = Clock()

    class Loop(loopkit.EpollLoop):
        time = staticmethod(clock)

    loop = Loop()
    poll = loop._watches.poll

    def sleep(timeout):
        clock.now += timeout or 0
        return poll(0)

    loop._watches.poll = sleep
    yield loop, clock
    loop.close()


@pytest.fixture
def scripted(monkeypatch):
    """A loop on the real clock's name, which a script moves: what reads the clock seldom does so here."""
    clock = Clock()
    clock.asked = []
    loop = loopkit.EpollLoop()
    poll = loop._watches.poll

    def ask(timeout):
        clock.asked.append(timeout)
        found = poll(0)
        if not found and timeout != 0:
            clock.now += timeout
        clock.now += 0.000001
        return found

    loop._watches.poll = ask
    monkeypatch.setattr(time, "monotonic", clock)
    yield loop, clock
    loop.close()


def spend(clock, seconds):
    clock.now += seconds


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("length", [0.0001, 0.002, 0.05])
def test_utilization_is_the_truth(clocked, share, length):
    loop, clock = clocked
    rounds = 200

    def work(left):
        spend(clock, length)
        if left:
            loop.call_at(clock.now + length * (1 - share) / share, work, left - 1)
        else:
            loop.stop()

    metrics(loop)
    loop.call_soon(work, rounds)
    loop.run_forever()
    seen = metrics(loop)
    assert seen.utilization == pytest.approx(share, abs=0.02)
    assert seen.busy == pytest.approx(length * (rounds + 1), rel=0.01)
    assert seen.stretches.longest <= length * 1.5 + 0.001


def test_a_stall_among_ten_thousand_short_turns_is_not_lost(clocked):
    loop, clock = clocked
    left = 10_000

    def tick():
        nonlocal left
        left -= 1
        spend(clock, 1.0 if left == 5_000 else 0.0001)
        if left:
            loop.call_later(0.001, tick)
        else:
            loop.stop()

    def other():  # what the stall makes late
        loop.call_later(0.003, other)

    metrics(loop)
    tick()
    other()
    loop.run_forever()
    seen = metrics(loop)
    assert seen.lateness.quantile(0.999) >= 0.9
    assert seen.stretches.quantile(0.999) >= 0.9
    assert seen.lateness.quantile(0.25) <= 0.001
    assert 0.9 <= seen.lateness.longest <= 1.01
    assert seen.stretches.longest == pytest.approx(1.0, abs=0.001)


def test_a_new_poller_object_is_counted_as_the_old_one_was(clocked):
    loop, _ = clocked
    metrics(loop)
    loop._watches.rebuild()
    before = metrics(loop).polls
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert metrics(loop).polls == before + 1


def test_a_timer_is_late_by_what_runs_before_it_in_its_own_turn(clocked):
    loop, clock = clocked
    metrics(loop)
    loop.call_at(clock.now, loop.stop)
    loop.call_soon(spend, clock, 0.3)
    loop.run_forever()
    assert metrics(loop).lateness.longest == pytest.approx(0.3, abs=0.001)


def test_a_cancelled_timer_is_not_late(clocked):
    loop, clock = clocked
    metrics(loop)
    loop.call_at(clock.now - 5, print, "never").cancel()
    loop.call_at(clock.now + 1, loop.stop)
    loop.run_forever()
    assert metrics(loop).lateness.longest < 0.01


def test_an_idle_loop_adds_nothing_to_the_histograms(clocked):
    loop, clock = clocked
    metrics(loop)
    loop.call_at(clock.now + 3600, loop.stop)
    loop.run_forever()
    seen = metrics(loop)
    assert seen.lateness.total == seen.stretches.total == pytest.approx(0, abs=1e-6)
    assert seen.idle == pytest.approx(3600)
    assert seen.utilization == 0


def test_time_between_two_runs_is_neither_busy_nor_idle(clocked):
    loop, clock = clocked
    metrics(loop)
    loop.call_soon(loop.stop)
    loop.run_forever()
    spend(clock, 50)
    loop.call_soon(loop.stop)
    loop.run_forever()
    seen = metrics(loop)
    assert (seen.idle, seen.busy) == (0, 0)
    assert seen.stretches.longest == 0


@pytest.mark.parametrize("name", ["epoll", "poll", "select", "busy"])
def test_what_is_there_now_is_counted_on_each_poller(name):
    loop = getattr(loopkit, f"{name.capitalize()}Loop")()
    with unix_pair() as (ours, peer):

        async def main():
            before = loop.metrics()
            got = loop.create_future()
            loop.add_reader(ours, got.set_result, None)
            loop.call_later(100, print).cancel()
            loop.call_later(100, print)
            peer.send(b"x")
            await got
            loop.remove_reader(ours)
            loop.call_soon(int)
            seen = loop.metrics()
            assert seen.events > before.events == 0
            assert seen.polls > 0
            assert seen.turns == seen.polls
            assert seen.timers >= 1
            assert seen.ready >= 1
            assert seen.watches >= 1
            assert seen.since == before.since <= before.taken <= seen.taken

        loop.run_until_complete(main())
    loop.close()


def test_they_may_begin_in_the_middle_of_a_run_and_are_read_from_threads(loop):
    async def main():
        assert loop.metrics().polls == 0
        await asyncio.sleep(0.01)
        return await asyncio.to_thread(loop.metrics)

    seen = loop.run_until_complete(main())
    assert seen.polls > 0
    assert seen.idle > 0
    assert seen.lateness.count <= 2


@pytest.fixture
def loop():
    loop = loopkit.Loop()
    yield loop
    loop.close()


def test_a_second_call_measures_with_the_same_meter(loop):
    assert meter(loop) is meter(loop)
    assert loop.metrics().since == loop.metrics().since


def test_a_closed_loop_and_a_strange_one_are_told_so(loop):
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.metrics()
    stranger = asyncio.SelectorEventLoop()
    with pytest.raises(TypeError, match="only loopkit's loops"):
        metrics(stranger)
    stranger.close()


def test_order_is_the_same_with_metrics(loop):
    def program(loop):
        log = []
        for number in range(3):
            loop.call_soon(log.append, f"ready {number}")
            loop.call_later(0, log.append, f"timer {number}")
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
        return log

    plain = program(loop)
    loop.metrics()
    assert program(loop) == plain


def test_a_quantile_is_between_the_bounds_of_its_class():
    seen = Histogram((1.0, 0, 0, 0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 0), longest=0.4, count=3)
    assert seen.quantile(0.5) == 0.001
    assert seen.quantile(0.75) == pytest.approx(0.3)
    assert seen.quantile(1) == 0.4
    assert seen.total == 2
    empty = Histogram((0.0,) * 14, 0.0, 0)
    assert empty.quantile(0.99) == 0
    with pytest.raises(ValueError, match="from 0 to 1, not 99"):
        seen.quantile(99)


# -- OpenMetrics ---------------------------------------------------------------------------------------------

SAMPLE = re.compile(r'^(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?[\d.e+-]+)$')


def test_the_text_is_openmetrics(loop):
    loop.run_until_complete(asyncio.sleep(0))
    text = openmetrics(loop, {"loop": 'a "quoted"\n\\ name'})
    assert text.endswith("\n# EOF\n")
    kind, seen = {}, {}
    for line in text.splitlines()[:-1]:
        if line.startswith("# TYPE "):
            _, _, name, kind[name] = line.split()
        elif not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            assert labels.startswith(r'loop="a \"quoted\"\n\\ name"')
            seen.setdefault(name, []).append(float(value))
    for name, what in kind.items():
        ending = {"counter": "_total", "gauge": "", "histogram": "_bucket"}[what]
        assert seen[name + ending]
        if what == "histogram":
            buckets = seen[f"{name}_bucket"]
            assert buckets == sorted(buckets)
            assert seen[f"{name}_count"] == [buckets[-1]]
            assert f"{name}_sum" in seen
    for line in text.splitlines():
        if line.startswith("# UNIT"):
            _, _, name, unit = line.split()
            assert name.endswith(f"_{unit}")


def test_prometheus_scrapes_a_program_by_the_page(tmp_path):
    """The program of docs/howto/metrics.md, run, and scraped over HTTP."""
    from tests.shape.source import ROOT

    page = (ROOT / "docs/howto/metrics.md").read_text()
    code = re.search(r"```python\n(# prometheus.*?)```", page, re.DOTALL)[1]
    file = tmp_path / "program.py"
    file.write_text(code.replace("9464", "0").replace("print(", "print(*server.sockets[0].getsockname(), "))
    with subprocess.Popen([sys.executable, "-u", file], stdout=subprocess.PIPE, text=True) as program:
        try:
            host, port = program.stdout.readline().split()[:2]
            with socket.create_connection((host, int(port))) as sock:
                sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        finally:
            program.kill()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "application/openmetrics-text" in head
    assert re.search(r'^loopkit_eventloop_seconds_total\{state="active"\} [\d.e-]+$', body, re.MULTILINE)
    assert body.endswith("# EOF\n")


# -- the environment and the command line --------------------------------------------------------------------

PROGRAM = """
import asyncio, sys
async def main():
    await asyncio.sleep(0.01)
    print("loopkit.diagnostics" in sys.modules)
asyncio.run(main())
"""


def test_the_command_line_prints_a_summary_at_the_end():
    from tests.cli.commands import run_loopkit

    code, out, err = run_loopkit("--metrics", "-c", PROGRAM)
    assert (code, out) == (0, "True\n")
    assert re.match(r"loopkit: \d+\.\d% busy \([\d.]+ s of [\d.]+ s\), \d+ polls, \d+ events\n", err)
    assert run_loopkit("-c", PROGRAM) == (0, "False\n", "")
    assert run_loopkit("-c", PROGRAM, LOOPKIT_METRICS="1") == (0, "True\n", "")
    assert run_loopkit("-c", PROGRAM, LOOPKIT_METRICS="0") == (0, "False\n", "")


def test_a_value_that_makes_no_sense_is_an_error(monkeypatch):
    monkeypatch.setenv("LOOPKIT_METRICS", "yes")
    with pytest.raises(
        ValueError, match="LOOPKIT_METRICS is 1, or print for a summary at the end, not 'yes'"
    ):
        loopkit.Loop()


def test_what_is_asked_for_is_also_seen_in_an_environment_that_a_program_has_replaced(monkeypatch):
    monkeypatch.setattr(os, "environ", {"LOOPKIT_METRICS": "1"})
    with closing(loopkit.Loop()) as loop:
        assert loop._instruments.find(Meter)
    monkeypatch.setattr(os, "environ", {})
    with closing(loopkit.Loop()) as loop:
        assert loop._instruments is None


# -- the plain turn ------------------------------------------------------------------------------------------


def test_the_plain_turn_knows_nothing_of_instruments():
    """Whatever can be seen is hung on beside the turn: no instruction of it asks whether anybody looks."""
    names = set()
    for function in (loopkit.Loop._turns, loopkit.Loop._flush, loopkit.Loop.call_soon, loopkit.Loop.call_at):
        names |= set(function.__code__.co_names) | set(function.__code__.co_varnames)
        for instruction in dis.get_instructions(function):
            assert "instrument" not in str(instruction.argval)
    assert names.isdisjoint({"_instruments", "observers", "metrics", "meter", "record", "trace"})


def play(loop, clock, lengths, then=0):
    """A turn for each of *lengths*, all with an event that is there before the poll; *then* a sleep."""
    lengths = iter(lengths)
    with unix_pair() as (ours, peer):

        def on_readable():
            ours.recv(1)
            try:
                spend(clock, next(lengths))
            except StopIteration:
                clock.asked.clear()
                loop.call_later(then, loop.stop)
            else:
                peer.send(b"x")

        loop.add_reader(ours, on_readable)
        peer.send(b"x")
        loop.run_forever()
        loop.remove_reader(ours)


def test_a_loop_that_never_sleeps_is_busy_and_reads_the_clock_seldom(scripted):
    """The price is counted, not timed."""
    loop, clock = scripted
    loop.set_debug(False)  # that turn reads the clock for each callback, whoever looks
    metrics(loop)
    reads = 0

    class Counting(Clock):
        def __call__(self):
            nonlocal reads
            reads += 1
            return clock.now

    time.monotonic = Counting()  # put back by the fixture
    play(loop, clock, [0.000002] * 2000)
    time.monotonic = clock
    seen = metrics(loop)
    assert seen.utilization == 1
    assert 2001 <= seen.polls <= 2003
    assert seen.events == 2001
    assert seen.busy == pytest.approx(2000 * 0.000003, rel=0.01)
    assert seen.stretches.longest == seen.stretches.total - seen.busy == 0
    assert reads <= 2 * 2001 / 32 + 40


@pytest.mark.parametrize("length", [0.00008, 0.00025, 0.0004, 0.0008])
def test_no_stretch_is_made_of_several_short_ones(scripted, length):
    loop, clock = scripted
    metrics(loop)
    play(loop, clock, [length] * 500)
    seen = metrics(loop)
    assert seen.stretches.count == 0
    assert seen.busy == pytest.approx(500 * length, rel=0.05)


def test_a_stall_of_a_loop_that_never_sleeps_is_not_lost(scripted):
    loop, clock = scripted
    metrics(loop)
    play(loop, clock, [0.000002] * 777 + [1.0] + [0.000002] * 777)
    seen = metrics(loop)
    assert seen.stretches.count == 1
    assert seen.stretches.longest == pytest.approx(1.0, abs=0.0003)
    assert seen.stretches.quantile(0.99) >= 0.9


def test_one_that_sleeps_again_is_idle_from_then_on(scripted):
    loop, clock = scripted
    metrics(loop)
    play(loop, clock, [0.000002] * 777, then=60)
    play(loop, clock, [0.000002] * 777)
    seen = metrics(loop)
    assert seen.idle == pytest.approx(60, rel=0.001)
    assert seen.busy == pytest.approx(2 * 777 * 0.000003, rel=0.05)


def test_a_poll_that_may_sleep_comes_after_each_that_found_nothing(scripted):
    """The row of polls that do without the clock ends at the first that finds nothing, with one more poll."""
    loop, clock = scripted
    metrics(loop)
    play(loop, clock, [0.000002] * 200, then=1)
    assert clock.asked[0] == 0
    assert clock.asked[1] == pytest.approx(1, rel=1e-4)
    assert len(clock.asked) <= 3


def test_one_clock_read_before_and_one_after_a_poll_that_sleeps():
    """The price is counted, not timed."""
    reads = 0

    class Loop(loopkit.EpollLoop):
        @staticmethod
        def time():
            nonlocal reads
            reads += 1
            return time.monotonic()

    def count(metered):
        nonlocal reads
        loop = Loop()
        with unix_pair() as (ours, peer):
            left = 100

            def on_readable():
                nonlocal left
                ours.recv(1)
                left -= 1
                if left:
                    peer.send(b"x")
                else:
                    loop.stop()

            loop.add_reader(ours, on_readable)
            peer.send(b"x")
            if metered:
                loop.metrics()
            reads = 0
            loop.run_forever()
            loop.close()
        return reads

    assert count(True) - count(False) <= 2 * 101 + 4
