"""Water marks."""

import contextvars

import pytest

from loopkit.transports import flow
from loopkit.transports.flow import DEFAULT_LIMITS, KIB, WriteFlow, limits


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ((None, None), (64 * KIB, 16 * KIB)),
        ((100, None), (100, 25)),
        ((None, 100), (400, 100)),
        ((100, 100), (100, 100)),
        ((100, 0), (100, 0)),
        ((0, None), (0, 0)),
        ((0, 0), (0, 0)),
        ((3, None), (3, 0)),
    ],
)
def test_what_is_left_out_follows_the_other(given, meant):
    assert limits(*given) == meant


def test_nothing_given_is_the_shared_default():
    assert limits(None, None) == DEFAULT_LIMITS


@pytest.mark.parametrize(
    ("high", "low", "message"),
    [
        (1, 2, r"high \(1\) must be >= low \(2\) must be >= 0"),
        (1, -1, r"high \(1\) must be >= low \(-1\) must be >= 0"),
        (-1, None, r"high \(-1\) must be >= low \(-1\) must be >= 0"),
    ],
)
def test_marks_that_make_no_sense_are_named(high, low, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        limits(high, low)


class Loop:
    def __init__(self):
        self.reports = []

    def call_exception_handler(self, context):
        self.reports.append(context)


class Transport(WriteFlow):
    """A transport that only has a size."""

    def __init__(self, protocol):
        self._loop, self._protocol, self._context = Loop(), protocol, contextvars.Context()
        self._limits, self._protocol_paused, self.size = (10, 4), False, 0

    def get_write_buffer_size(self):
        return self.size

    def resize(self, size):
        growing = size > self.size
        self.size = size
        (self._maybe_pause_protocol if growing else self._maybe_resume_protocol)()


class Protocol:
    def __init__(self):
        self.told = []

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ([10], []),
        ([11], ["pause"]),
        ([11, 50, 99], ["pause"]),
        ([11, 5], ["pause"]),
        ([11, 4], ["pause", "resume"]),
        ([11, 4, 0], ["pause", "resume"]),
        ([11, 4, 11, 0], ["pause", "resume", "pause", "resume"]),
        ([5, 0], []),
    ],
)
def test_above_high_is_paused_and_at_low_resumed(sizes, told):
    transport = Transport(Protocol())
    for size in sizes:
        transport.resize(size)
    assert transport._protocol.told == told


def test_new_marks_count_at_once_for_pausing():
    transport = Transport(Protocol())
    transport.resize(8)
    transport.set_write_buffer_limits(high=7)
    assert transport._protocol.told == ["pause"]
    assert transport.get_write_buffer_limits() == (1, 7)
    transport.set_write_buffer_limits(high=100)
    assert transport._protocol.told == ["pause"]  # as under asyncio: resumed when the buffer shrinks
    transport.resize(5)
    assert transport._protocol.told == ["pause", "resume"]


def test_a_protocol_that_fails_is_reported_and_counts_as_told():
    class Failing(Protocol):
        def pause_writing(self):
            raise LookupError("pause")

        def resume_writing(self):
            raise LookupError("resume")

    transport = Transport(Failing())
    transport.resize(11)
    transport.resize(12)
    transport.resize(0)
    messages = [report["message"] for report in transport._loop.reports]
    assert messages == ["protocol.pause_writing() failed", "protocol.resume_writing() failed"]
    assert transport._loop.reports[0]["transport"] is transport
    assert transport._loop.reports[0]["protocol"] is transport._protocol


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_program_passes(end):
    class Leaving(Protocol):
        def pause_writing(self):
            raise end

    with pytest.raises(end):
        Transport(Leaving()).resize(11)


var = contextvars.ContextVar("var", default="nobody's")


@pytest.mark.parametrize("where", ["outside", "inside", "in a context entered from inside"])
def test_the_protocol_is_told_in_the_connections_context(where):
    class Looking(Protocol):
        def pause_writing(self):
            self.told.append(var.get())

    transport = Transport(Looking())
    transport._context.run(var.set, "the connection's")
    var.set("the caller's")
    other = contextvars.copy_context()
    if where == "outside":
        transport.resize(11)
    elif where == "inside":
        transport._context.run(transport.resize, 11)
    else:
        transport._context.run(other.run, transport.resize, 11)
    assert transport._protocol.told == ["the connection's"]


def test_what_it_sets_there_stays_there():
    class Setting(Protocol):
        def pause_writing(self):
            var.set("paused")

    for inside in (False, True):
        transport = Transport(Setting())
        if inside:
            transport._context.run(transport.resize, 11)
        else:
            transport.resize(11)
        assert transport._context[var] == "paused"


def test_the_marks_are_asyncios():
    assert (flow.HIGH, DEFAULT_LIMITS) == (65536, (65536, 16384))
