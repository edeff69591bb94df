"""What would hang is ended, with its place."""

import asyncio
import signal
import time

import pytest

from loopkit.testing import Found, Livelock, explore, run, watchdog


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(watchdog, "SECONDS", 0.02)


async def compute():
    await asyncio.sleep(1)
    while True:
        pass


def test_a_step_that_never_comes_back_is_ended_where_it_is():
    with pytest.raises(Livelock, match=r"processor time.*test_watchdog.py:\d+ in compute"):
        run(compute)
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_an_exploration_reports_it():
    with pytest.raises(Found, match="Livelock: a step has computed"):
        explore(compute, seeds=1)


def test_many_steps_are_not_one_that_hangs():
    async def main():
        end = time.process_time() + 0.2
        while time.process_time() < end:
            await asyncio.sleep(0.001)

    run(main)


def test_a_program_that_has_the_signal_keeps_it():
    def handler(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGVTALRM, handler)
    try:

        async def main():
            return signal.getsignal(signal.SIGVTALRM)

        assert run(main) is handler
    finally:
        signal.signal(signal.SIGVTALRM, before)
