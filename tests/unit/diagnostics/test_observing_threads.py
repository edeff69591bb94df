"""Loops of several threads are observed at once: who hears of writes, while others come and go."""

import functools
import itertools

import pytest

import loopkit
from loopkit.diagnostics import observe, observing
from loopkit.transports.stream import StreamTransport
from tests.support.interleaving import Gate, between_lines_of, in_a_thread
from tests.support.net import tcp_pair
from tests.support.protocols import Recorder
from tests.support.pythons import drop


class Hearing:
    """An observer that counts bytes written."""

    def __init__(self):
        self.heard = 0

    def written(self, fd, held, sent, queued):
        self.heard += held + sent + queued


class Observed:
    """A loop with one connection, and who observes it."""

    def __init__(self):
        self.loop, self.hearing = loopkit.Loop(), Hearing()
        self.end = observe(self.loop, self.hearing)

    def write(self):
        """Write five bytes; returns what the peer got and how many were heard of."""

        async def main():
            with tcp_pair() as (ours, theirs):
                transport, _ = await self.loop.create_connection(Recorder, sock=ours)
                transport.write(b"12345")
                transport.close()
                return theirs.recv(100)

        self.hearing.heard = 0
        return self.loop.run_until_complete(main()), self.hearing.heard

    def close(self):
        self.end()
        self.loop.close()


@pytest.fixture
def others():
    """What other threads observe."""
    made = []
    yield made
    for observed in made:
        observed.close()
    drop()
    assert not observing._listeners


@pytest.mark.parametrize("is_observed", [True, False])
def test_a_write_is_told_to_whom_it_concerns_while_other_threads_begin_to_observe(is_observed, others):
    ours = Observed()
    others += [Observed(), ours, Observed()]
    if not is_observed:
        ours.end()
    with between_lines_of(
        StreamTransport.write, act=lambda: in_a_thread(lambda: others.append(Observed()))
    ) as between:
        assert ours.write() == (b"12345", 5 if is_observed else 0)
    assert between.lines == len(others) - 3 > 0


def come_through(gate, threads, others):
    threads.append(gate.start(lambda: others.append(Observed())))


@pytest.mark.parametrize("change", [observing._observe_writes, observing._ignore_writes])
def test_who_begins_to_observe_while_another_comes_or_goes_is_told(change, others, monkeypatch):
    """The last to go must not take the hook from who has just come; nor may the first hang up two."""
    monkeypatch.setattr(observing, "sharing", gate := Gate(observing.sharing))
    plain = StreamTransport.write
    for line in itertools.count():
        threads = []
        come = functools.partial(come_through, gate, threads, others)

        if change is observing._observe_writes:
            with between_lines_of(change, act=come, only=line) as between:
                others.append(Observed())
        else:
            ours = Observed()
            with between_lines_of(change, act=come, only=line) as between:
                ours.close()
        for thread in threads:
            thread.join()
        assert all(observed.write() == (b"12345", 5) for observed in others)
        while others:
            others.pop().close()
        assert StreamTransport.write is plain
        if line >= between.lines:
            break
    assert line > 0
