"""Random programs on stdlib asyncio and on every loop of ours: do the same things happen in the same turns?

A program is a list of steps, each taken between two turns or in a callback of one. What is called in a turn
is written down, in its order where that is promised: callbacks and timers, and one descriptor's events among
themselves. (Which of two descriptors comes first is the poller's affair.) The busy loop is left out: it asks
nobody, tries when a socket's turn comes, and so finds what came in this very turn. 200 programs here; as many
as are asked for by LOOPKIT_FUZZ:

    LOOPKIT_FUZZ=20000 python -m pytest tests/parity/test_differential.py
"""

import asyncio
import os
import socket

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.loops import OURS

EXAMPLES = int(os.environ.get("LOOPKIT_FUZZ", "200"))
PAIRS = 3

pairs = st.integers(0, PAIRS - 1)
steps = st.one_of(
    st.tuples(st.sampled_from(["reader", "unreader", "writer", "unwriter"]), pairs),
    st.tuples(st.just("send"), pairs),
    st.tuples(st.sampled_from(["take", "hang up", "renew"]), pairs),
    st.tuples(st.sampled_from(["soon", "soon soon", "cancelled", "raise"]), st.just(0)),
    st.tuples(st.just("timer"), st.integers(1, 5)),
    st.tuples(st.just("untimer"), st.just(0)),
    st.tuples(st.sampled_from(["transport", "write", "pause", "resume", "close", "abort", "eof"]), pairs),
    st.tuples(st.sampled_from(["sock_recv", "sock_sendall"]), pairs),
    st.tuples(st.just("debug"), st.just(0)),
)
programs = st.lists(
    st.one_of(st.just(("turn", None)), st.tuples(st.sampled_from(["now", "in a callback"]), steps)),
    max_size=30,
)


class Recorder(asyncio.Protocol):
    def __init__(self, run, number):
        self.run, self.number = run, number

    def connection_made(self, transport):
        self.transport = transport
        self.run.note("io", self.number, "made")

    def data_received(self, data):
        self.run.note("io", self.number, data)

    def eof_received(self):
        self.run.note("io", self.number, "eof")

    def connection_lost(self, exc):
        self.run.note("io", self.number, "lost", type(exc).__name__)

    def pause_writing(self):
        self.run.note("io", self.number, "pause")

    def resume_writing(self):
        self.run.note("io", self.number, "resume")


class Run:
    """One program on one loop, and what was called in each turn."""

    def __init__(self, factory):
        self.loop = factory()
        self.turns, self.now = [], []
        self.pairs = [self.pair() for _ in range(PAIRS)]
        self.watched = [set() for _ in range(PAIRS)]
        self.protocols = [None] * PAIRS
        self.tasks, self.timers, self.busy = [], [], set()
        self.loop.set_exception_handler(self.reported)

    def pair(self):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        return ours, theirs

    def note(self, *event):
        self.now.append(event)

    def reported(self, loop, context):
        self.note("reported", type(context.get("exception")).__name__)

    def turn(self):
        self.loop.stop()
        self.loop.run_forever()
        promised = [event for event in self.now if event[0] != "io"]
        by_number = {n: [e for e in self.now if e[:2] == ("io", n)] for n in range(PAIRS)}
        self.turns.append((promised, by_number))
        self.now = []

    def play(self, program):
        for how, step in program:
            if how == "turn":
                self.turn()
            elif how == "now":
                self.step(*step)
            else:
                self.loop.call_soon(self.step, *step)
        for _ in range(6):
            self.turn()
        return self.turns

    def step(self, what, number):
        if what in ("soon", "soon soon", "cancelled", "raise", "timer", "untimer", "debug"):
            self.schedule(what, number)
        else:
            ours, theirs = self.pairs[number]
            try:
                getattr(self, "on_" + what.replace(" ", "_"))(number, ours, theirs)
            except (OSError, RuntimeError, ValueError) as exc:
                self.note("refused", what, type(exc).__name__)

    def schedule(self, what, number):
        loop = self.loop
        if what == "soon":
            loop.call_soon(self.note, "soon")
        elif what == "soon soon":
            loop.call_soon(loop.call_soon, self.note, "soon soon")
        elif what == "cancelled":
            loop.call_soon(self.note, "cancelled").cancel()
        elif what == "raise":
            loop.call_soon(int, "x")
        elif what == "timer":
            count = len(self.timers)
            # Due already, and no two at the same time.
            when = loop.time() - 100 - number + count / 1000
            self.timers.append(loop.call_at(when, self.note, "timer", count))
        elif what == "untimer" and self.timers:
            self.timers[-1].cancel()
        elif what == "debug":
            loop.set_debug(not loop.get_debug())

    # -- a program's own descriptors

    def on_reader(self, number, ours, theirs):
        if number in self.busy or self.is_transports(number):
            return  # our sock_recv receives when its coroutine goes on: until then a reader finds it
        self.loop.add_reader(ours, self.readable, number, ours)
        self.watched[number].add("reader")

    def is_transports(self, number):
        """Whether a transport is about to have the file, or to close it, which ends whoever else is there."""
        if self.protocols[number] is None:
            return False
        transport = self.transport(number)
        return transport is None or transport.is_closing()

    def readable(self, number, ours):
        try:
            self.note("io", number, "readable", ours.recv(3))
        except BlockingIOError:
            self.note("io", number, "readable", None)

    def on_unreader(self, number, ours, theirs):
        self.note("io", number, "removed", self.loop.remove_reader(ours))
        self.watched[number].discard("reader")

    def on_writer(self, number, ours, theirs):
        if self.is_transports(number):
            return
        self.loop.add_writer(ours, self.note, "io", number, "writable")
        self.watched[number].add("writer")

    def on_unwriter(self, number, ours, theirs):
        self.note("io", number, "removed", self.loop.remove_writer(ours))
        self.watched[number].discard("writer")

    def on_send(self, number, ours, theirs):
        theirs.send(b"abc")

    def on_take(self, number, ours, theirs):
        self.note("io", number, "peer took", theirs.recv(100))

    def on_hang_up(self, number, ours, theirs):
        theirs.shutdown(socket.SHUT_WR)

    def on_renew(self, number, ours, theirs):
        """Close the pair in good order, and open another: most likely the numbers are the same."""
        if self.protocols[number] is not None or number in self.busy:
            return
        if "reader" in self.watched[number]:
            self.loop.remove_reader(ours)
        if "writer" in self.watched[number]:
            self.loop.remove_writer(ours)
        self.watched[number].clear()
        ours.close()
        theirs.close()
        self.pairs[number] = self.pair()

    # -- transports

    def on_transport(self, number, ours, theirs):
        if self.protocols[number] is None and not self.watched[number] and number not in self.busy:
            protocol = self.protocols[number] = Recorder(self, number)
            coro = self.loop.connect_accepted_socket(lambda: protocol, ours)
            self.tasks.append(self.loop.create_task(coro))

    def transport(self, number):
        return getattr(self.protocols[number], "transport", None)

    def on_write(self, number, ours, theirs):
        if transport := self.transport(number):
            transport.write(b"xyz")

    def on_pause(self, number, ours, theirs):
        if transport := self.transport(number):
            transport.pause_reading()

    def on_resume(self, number, ours, theirs):
        if transport := self.transport(number):
            transport.resume_reading()

    def on_close(self, number, ours, theirs):
        if transport := self.transport(number):
            transport.close()
            self.note("io", number, transport.is_closing(), transport.is_reading())

    def on_abort(self, number, ours, theirs):
        if transport := self.transport(number):
            transport.abort()

    def on_eof(self, number, ours, theirs):
        if transport := self.transport(number):
            transport.write_eof()

    # -- coroutines

    def on_sock_recv(self, number, ours, theirs):
        if not self.watched[number] and number not in self.busy:
            self.busy.add(number)
            self.tasks.append(self.loop.create_task(self.receive(number, ours)))

    async def receive(self, number, ours):
        try:
            self.note("io", number, "received", await self.loop.sock_recv(ours, 3))
        except (OSError, RuntimeError) as exc:
            self.note("io", number, "refused", type(exc).__name__)
        finally:
            self.busy.discard(number)

    def on_sock_sendall(self, number, ours, theirs):
        if not self.watched[number] and number not in self.busy:
            self.tasks.append(self.loop.create_task(self.send(number, ours)))

    async def send(self, number, ours):
        try:
            await self.loop.sock_sendall(ours, b"def")
            self.note("io", number, "sent")
        except (OSError, RuntimeError) as exc:
            self.note("io", number, "refused", type(exc).__name__)

    def end(self):
        for number, protocol in enumerate(self.protocols):
            if protocol is not None and self.transport(number):
                self.transport(number).abort()
        for task in self.tasks:
            task.cancel()
        for _ in range(3):
            self.turn()
        self.loop.close()
        for ours, theirs in self.pairs:
            ours.close()
            theirs.close()


def played(factory, program):
    run = Run(factory)
    try:
        return run.play(program)
    finally:
        run.end()


def do(*steps):
    return [("now", step) for step in steps]


@pytest.mark.parametrize("name", ["epoll", "poll", "select"])
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(program=programs)
@example(program=[*do(("reader", 0), ("send", 0)), ("in a callback", ("reader", 0))])
@example(
    program=[
        *do(("transport", 0)),
        ("turn", None),
        *do(("send", 0), ("pause", 0)),
        ("turn", None),
        *do(("resume", 0)),
    ]
)
@example(program=[("in a callback", ("sock_recv", 0)), *do(("transport", 0))])
@example(program=[("in a callback", ("transport", 0)), ("turn", None), *do(("sock_recv", 0))])
@example(program=[*do(("timer", 1), ("timer", 2), ("untimer", 0)), ("in a callback", ("timer", 3))])
@pytest.mark.leaks("errors", reason="callbacks raise, and writes go to lost connections")
@pytest.mark.timeout(0 if EXAMPLES > 1000 else 180)
def test_a_random_program_does_the_same_in_every_turn(name, program):
    assert played(OURS[name], program) == played(asyncio.SelectorEventLoop, program)
