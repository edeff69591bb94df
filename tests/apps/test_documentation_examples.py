"""Do programs of the kinds that Python's asyncio documentation shows run unmodified by `python -m loopkit`,
on every poller, and say the same as they do on asyncio's own loop?"""

import signal

import pytest

from tests.apps.running import ON_LOOPKIT, output_of, proof, running

POLLERS = ["epoll", "poll", "select", "busy"]
EXAMPLES = ["tcp_echo", "udp_echo", "streams", "queues", "threads", "coroutines", "pipeline"]


@pytest.fixture(scope="module")
def on_asyncio():
    """What an example says on asyncio's own loop, without the line about the loop."""
    said = {}

    def run(example):
        if example not in said:
            *said[example], loop = output_of(f"{example}.py")
            assert "asyncio" in loop
        return said[example]

    return run


@pytest.mark.parametrize("poller", POLLERS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_says_the_same_on_loopkit(example, poller, on_asyncio):
    *said, loop = output_of(*ON_LOOPKIT, "--poller", poller, f"{example}.py")
    assert said == on_asyncio(example)
    assert loop == proof()


@pytest.mark.parametrize("poller", POLLERS)
def test_a_service_gets_its_signals(poller):
    with running(*ON_LOOPKIT, "--poller", poller, "signals.py") as program:
        program.wait_for("ready")
        program.signal(signal.SIGINT)
        program.wait_for("got SIGINT")
        program.signal(signal.SIGTERM)
        assert program.finish() == 0
    assert program.output.splitlines() == ["ready", "got SIGINT", "got SIGTERM", proof()]
