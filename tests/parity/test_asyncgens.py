"""Asynchronous generators: who closes them, and when."""

import asyncio
import gc
import sys
import warnings

import pytest


async def waiting(log, fail=False):
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)
        log.append("closed")
        if fail:
            raise LookupError("while closing")


def test_shutdown_closes_those_that_are_still_open(new_loop):
    loop = new_loop()
    log, kept = [], []

    async def main():
        for _ in range(3):
            generator = waiting(log)
            kept.append(generator)
            assert await generator.__anext__() == 1

    loop.run_until_complete(main())
    assert log == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert log == ["closed"] * 3


def test_one_that_is_dropped_is_closed_by_the_loop(new_loop):
    loop = new_loop()
    log = []

    async def main():
        async for _ in waiting(log):
            break
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert log == ["closed"]


def test_one_that_fails_while_it_is_closed_is_reported(new_loop, reports):
    loop = new_loop()
    loop.set_exception_handler(reports)
    log, kept = [], []

    async def main():
        for fail in (False, True):
            generator = waiting(log, fail)
            kept.append(generator)
            await generator.__anext__()

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert log == ["closed"] * 2
    (report,) = reports
    assert report["message"].startswith("an error occurred during closing of asynchronous generator ")
    assert isinstance(report["exception"], LookupError)
    assert report["asyncgen"] is kept[1]


def test_one_that_starts_after_the_shutdown_warns(new_loop):
    loop = new_loop()
    loop.run_until_complete(loop.shutdown_asyncgens())
    log = []

    async def main():
        generator = waiting(log)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await generator.__anext__()
        await generator.aclose()
        return [str(w.message) for w in caught if w.category is ResourceWarning]

    (message,) = loop.run_until_complete(main())
    assert message.startswith("asynchronous generator ")
    assert "was scheduled after loop.shutdown_asyncgens() call" in message


def test_shutdown_with_none_open_is_nothing(new_loop):
    loop = new_loop()
    for _ in range(2):
        assert loop.run_until_complete(loop.shutdown_asyncgens()) is None


def test_hooks_are_there_while_the_loop_runs_and_restored_after(new_loop):
    loop = new_loop()
    mine = (lambda generator: None, lambda generator: None)
    before = sys.get_asyncgen_hooks()

    async def main():
        return tuple(sys.get_asyncgen_hooks())

    try:
        sys.set_asyncgen_hooks(*mine)
        inside = loop.run_until_complete(main())
        assert tuple(sys.get_asyncgen_hooks()) == mine
    finally:
        sys.set_asyncgen_hooks(*before)
    assert None not in inside
    assert inside != mine


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_hooks_are_restored_when_the_program_ends(new_loop, error):
    def end():
        raise error

    loop = new_loop()
    before = sys.get_asyncgen_hooks()
    loop.call_soon(end)
    with pytest.raises(error):
        loop.run_forever()
    assert sys.get_asyncgen_hooks() == before
