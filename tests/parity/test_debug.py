"""Debug mode: what is checked, what is measured, what is remembered."""

import asyncio
import gc
import socket
import sys
import threading
import time

import pytest

from tests.support.net import unix_pair


def run(loop):
    loop.run_until_complete(asyncio.sleep(0.003))


def test_it_can_be_switched(new_loop):
    loop = new_loop()
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop.set_debug(False)
    assert loop.get_debug() is False


@pytest.mark.uvloop_differs(reason="makes a bool of it")
def test_get_debug_returns_what_was_set(new_loop):
    loop = new_loop()
    loop.set_debug(1)
    assert loop.get_debug() == 1
    assert not isinstance(loop.get_debug(), bool)


def test_it_starts_as_the_environment_says(new_loop, monkeypatch):
    if sys.flags.dev_mode or sys.flags.ignore_environment:
        pytest.skip("the interpreter has decided already")
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    assert new_loop().get_debug()
    monkeypatch.delenv("PYTHONASYNCIODEBUG")
    assert not new_loop().get_debug()


def test_a_slow_callback_is_logged_and_named(new_loop, asyncio_log):
    def slow_function():
        time.sleep(0.02)

    loop = new_loop()
    assert loop.slow_callback_duration == 0.1
    loop.slow_callback_duration = 0.01
    loop.set_debug(True)
    loop.call_soon(slow_function)
    run(loop)
    messages = [record.getMessage() for record in asyncio_log]
    (message,) = [message for message in messages if "slow_function" in message]
    assert message.startswith("Executing <Handle ")
    assert " took 0.0" in message
    assert message.endswith(" seconds")


def test_a_slow_task_step_is_logged_and_named(new_loop, asyncio_log):
    async def slow_coroutine():
        time.sleep(0.02)

    loop = new_loop()
    loop.slow_callback_duration = 0.01
    loop.set_debug(True)
    loop.run_until_complete(slow_coroutine())
    assert any(
        record.getMessage().startswith("Executing <Task ") and "slow_coroutine" in record.getMessage()
        for record in asyncio_log
    )


def test_a_fast_callback_is_not_logged(new_loop, asyncio_log):
    loop = new_loop()
    loop.slow_callback_duration = 10
    loop.set_debug(True)
    loop.call_soon(int)
    run(loop)
    assert asyncio_log == []


def test_slow_callbacks_are_not_measured_outside_debug(new_loop, asyncio_log):
    loop = new_loop()
    loop.set_debug(False)
    loop.slow_callback_duration = 0
    loop.call_soon(time.sleep, 0.002)
    run(loop)
    assert asyncio_log == []


def test_debug_can_be_switched_on_while_the_loop_runs(new_loop, asyncio_log):
    loop = new_loop()
    loop.set_debug(False)
    loop.slow_callback_duration = 0.01

    def slow_function():
        time.sleep(0.02)

    async def main():
        loop.set_debug(True)
        await asyncio.sleep(0)
        loop.call_soon(slow_function)
        await asyncio.sleep(0.003)
        loop.set_debug(False)
        await asyncio.sleep(0)
        seen = len([r for r in asyncio_log if "slow_function" in r.getMessage()])
        loop.call_soon(slow_function)
        await asyncio.sleep(0.003)
        assert len([r for r in asyncio_log if "slow_function" in r.getMessage()]) == seen == 1

    loop.run_until_complete(main())


@pytest.mark.parametrize("how", ["call_soon", "call_later", "call_at"])
def test_scheduling_from_another_thread_is_refused(new_loop, how):
    loop = new_loop()
    loop.set_debug(True)
    errors = []

    def other():
        arguments = () if how == "call_soon" else (0.001,)
        try:
            getattr(loop, how)(*arguments, print)
        except RuntimeError as exc:
            errors.append(str(exc))

    async def main():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    loop.run_until_complete(main())
    assert errors == ["Non-thread-safe operation invoked on an event loop other than the current one"]


def test_call_soon_threadsafe_from_another_thread_is_not(new_loop):
    loop = new_loop()
    loop.set_debug(True)
    handles = []
    thread = threading.Thread(target=lambda: handles.append(loop.call_soon_threadsafe(loop.stop)))
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert len(handles) == 1


@pytest.mark.uvloop_differs(reason="checks neither")
def test_what_cannot_be_called_is_refused(new_loop):
    loop = new_loop()
    loop.set_debug(True)

    async def coroutine_function():
        pass

    for name, before in (
        ("call_soon", ()),
        ("call_soon_threadsafe", ()),
        ("call_later", (1,)),
        ("call_at", (1,)),
        ("run_in_executor", (None,)),
    ):
        called = "call_at" if name == "call_later" else name
        with pytest.raises(TypeError, match=rf"^coroutines cannot be used with {called}\(\)$"):
            getattr(loop, name)(*before, coroutine_function)
        with pytest.raises(TypeError, match=rf"^a callable object was expected by {called}\(\), got 5$"):
            getattr(loop, name)(*before, 5)


@pytest.mark.uvloop_differs(reason="no source_traceback in the context of a report from call_soon", run=False)
def test_reports_tell_where_the_callback_was_scheduled(new_loop, reports):
    def fail():
        raise LookupError

    def the_scheduling_function():
        loop.call_soon(fail)

    loop = new_loop()
    loop.set_debug(True)
    loop.set_exception_handler(reports)
    the_scheduling_function()
    run(loop)
    (report,) = reports
    assert any(frame.name == "the_scheduling_function" for frame in report["source_traceback"])
    assert report["source_traceback"][-1].name == "the_scheduling_function"


def test_repr_of_a_handle_tells_where_it_was_made(new_loop):
    loop = new_loop()
    loop.set_debug(True)
    for handle in (loop.call_soon(int), loop.call_later(1, int), loop.call_at(1, int)):
        line = sys._getframe().f_lineno - 1
        assert f"created at {__file__}:{line}" in repr(handle)
        handle.cancel()
        assert "cancelled" in repr(handle)
        assert f"created at {__file__}:{line}" in repr(handle)


def test_coroutine_origins_are_tracked_while_it_runs(new_loop):
    loop = new_loop()
    loop.set_debug(True)
    before = sys.get_coroutine_origin_tracking_depth()

    async def main():
        depth = sys.get_coroutine_origin_tracking_depth()
        loop.set_debug(False)
        await asyncio.sleep(0)
        without = sys.get_coroutine_origin_tracking_depth()
        loop.set_debug(True)
        await asyncio.sleep(0)
        return depth, without, sys.get_coroutine_origin_tracking_depth()

    assert loop.run_until_complete(main()) == (10, before, 10)
    assert sys.get_coroutine_origin_tracking_depth() == before


@pytest.mark.parametrize("operation", ["recv", "recv_into", "sendall", "accept", "connect"])
def test_sock_operations_refuse_a_blocking_socket(new_loop, operation):
    loop = new_loop()
    loop.set_debug(True)
    arguments = {
        "recv": (10,),
        "recv_into": (bytearray(10),),
        "sendall": (b"x",),
        "accept": (),
        "connect": (("127.0.0.1", 1),),
    }[operation]

    async def main(sock):
        with pytest.raises(ValueError, match="^the socket must be non-blocking$"):
            await getattr(loop, f"sock_{operation}")(sock, *arguments)

    with socket.socket() as sock:
        loop.run_until_complete(main(sock))


@pytest.mark.uvloop_differs(reason="has neither", run=False)
@pytest.mark.parametrize("operation", ["recvfrom", "recvfrom_into", "sendto"])
def test_sock_datagram_operations_refuse_a_blocking_socket(new_loop, operation):
    loop = new_loop()
    loop.set_debug(True)
    arguments = {
        "recvfrom": (10,),
        "recvfrom_into": (bytearray(10),),
        "sendto": (b"x", ("127.0.0.1", 1)),
    }[operation]

    async def main(sock):
        with pytest.raises(ValueError, match="^the socket must be non-blocking$"):
            await getattr(loop, f"sock_{operation}")(sock, *arguments)

    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        loop.run_until_complete(main(sock))


def test_io_works_as_outside_debug(new_loop):
    loop = new_loop()
    loop.set_debug(True)

    async def main():
        with unix_pair() as (ours, theirs):
            theirs.send(b"hello")
            assert await loop.sock_recv(ours, 100) == b"hello"
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            theirs.send(b"line\n")
            assert await reader.readline() == b"line\n"
            writer.close()
            await writer.wait_closed()
        return await loop.run_in_executor(None, lambda: 5)

    assert loop.run_until_complete(main()) == 5
    loop.run_until_complete(loop.shutdown_default_executor())


def test_a_transport_nobody_closed_warns(new_loop):
    loop = new_loop()

    async def main():
        with unix_pair() as (ours, theirs):
            transport, _ = await loop.create_unix_connection(asyncio.Protocol, sock=ours)
            transport.abort()
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    gc.collect()


def test_the_order_of_everything_is_the_same_with_and_without(new_loop):
    def program(debug):
        loop = new_loop()
        loop.set_debug(debug)
        order = []

        async def worker(name):
            for number in range(3):
                order.append((name, number))
                await asyncio.sleep(0)

        async def main():
            with unix_pair() as (ours, theirs):
                loop.add_reader(ours, lambda: order.append(("read", ours.recv(1))))
                loop.call_soon(order.append, "soon")
                theirs.send(b"a")
                loop.call_later(0, order.append, "timer")
                await asyncio.gather(worker("one"), worker("two"))
                await asyncio.sleep(0.002)
                loop.remove_reader(ours)

        loop.run_until_complete(main())
        loop.close()
        return order

    assert program(debug=False) == program(debug=True)
