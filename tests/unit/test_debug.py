"""Debug mode's own questions; what it does to programs is asked in tests/parity/test_debug.py."""

import asyncio
import functools

import pytest

import loopkit
from loopkit import debug


@pytest.fixture
def loop():
    loop = loopkit.Loop()
    yield loop
    loop.close()


def test_a_replaced_run_is_noticed_and_gets_every_call(loop, monkeypatch):
    stock, seen = asyncio.Handle._run, []

    @functools.wraps(stock)
    def watched(handle):
        seen.append(handle._callback)
        stock(handle)

    assert not debug.handles_are_watched()
    monkeypatch.setattr(asyncio.Handle, "_run", watched)
    assert debug.handles_are_watched()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [loop.stop]


def test_a_replacement_in_c_is_noticed_too(monkeypatch):
    monkeypatch.setattr(asyncio.Handle, "_run", len)
    assert debug.handles_are_watched()


def test_the_frames_that_are_forgotten_are_the_last_ones():
    class Handle:
        _source_traceback = ["program", "library", "call_soon", "guarded_handle"]

    assert debug.forget_frames(Handle, 2)._source_traceback == ["program", "library"]


def test_a_loop_that_was_closed_is_guarded_without_debug_mode(loop):
    assert loop._guarded is bool(loop.get_debug())
    loop.close()
    assert loop._guarded
