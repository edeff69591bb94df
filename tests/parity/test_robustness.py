"""What goes wrong in real life: nothing hangs, nothing leaks, nothing is lost, and the loop goes on."""

import asyncio
import contextlib
import hashlib
import os
import resource
import signal
import socket
import sys

import pytest

from tests.support.leaks import open_descriptors
from tests.support.net import blocking, connect, read_exactly, reset, tcp_pair, unix_pair
from tests.support.programs import LIMIT, run_program, start_program
from tests.support.protocols import BufferedRecorder, Echo, Recorder

MIB = 1 << 20


class Failure(Exception):
    pass


def talk(address, message=b"hello"):
    with connect(address) as sock:
        sock.sendall(message)
        return read_exactly(sock, len(message))


@contextlib.asynccontextmanager
async def echo_server(factory=Echo):
    loop = asyncio.get_running_loop()
    protocols = []

    def make():
        protocols.append(factory())
        return protocols[-1]

    server = await loop.create_server(make, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname(), protocols
    finally:
        server.close()
        for protocol in protocols:
            if protocol.transport is not None and "lost" not in protocol.events:
                protocol.transport.abort()
                await protocol.lost()
        await server.wait_closed()


# --- large transfers


class PoliteEcho(Recorder):
    """Echoes, and reads no more while it cannot write."""

    def data_received(self, data):
        self.note("data")
        self.transport.write(data)

    def pause_writing(self):
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self):
        super().resume_writing()
        self.transport.resume_reading()


def push_and_pull(address, size):
    """Send `size` bytes and read them back slowly, in a thread each; whether the digests are the same."""
    import threading

    block = bytes(range(256)) * 4096
    sent, got = hashlib.blake2b(), hashlib.blake2b()
    with connect(address) as sock:

        def push():
            for _ in range(size // len(block)):
                sock.sendall(block)
                sent.update(block)
            sock.shutdown(socket.SHUT_WR)

        pusher = threading.Thread(target=push)
        pusher.start()
        try:
            total = 0
            while chunk := sock.recv(20_000):  # small bites: the server's buffers fill up
                got.update(chunk)
                total += len(chunk)
        finally:
            pusher.join()
    return total, sent.digest() == got.digest()


async def test_64_mib_are_echoed_to_a_slow_reader_intact_and_in_little_memory():
    async with echo_server(PoliteEcho) as (address, protocols):
        sizes = []

        async def watch():
            while True:
                sizes.extend(
                    protocol.transport.get_write_buffer_size()
                    for protocol in protocols
                    if "made" in protocol.events and "lost" not in protocol.events
                )
                await asyncio.sleep(0.002)

        watching = asyncio.ensure_future(watch())
        assert await blocking(push_and_pull, address, 64 * MIB) == (64 * MIB, True)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        await protocols[0].lost()
        assert "pause" in protocols[0].events
        assert max(sizes) < 2 * MIB  # the high-water mark and one read


async def test_streams_echo_16_mib_to_a_slow_reader():
    async def handle(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    result = await blocking(push_and_pull, server.sockets[0].getsockname(), 16 * MIB)
    assert result == (16 * MIB, True)
    server.close()
    await server.wait_closed()


async def test_a_flood_on_one_connection_does_not_starve_another():
    async with echo_server(PoliteEcho) as (address, _):
        flood = asyncio.ensure_future(blocking(push_and_pull, address, 16 * MIB))
        answers = [await blocking(talk, address) for _ in range(10)]
        assert answers == [b"hello"] * 10
        assert await flood == (16 * MIB, True)


# --- peers that misbehave


async def test_resets_in_every_state_leave_the_server_serving():
    def rude(address, number):
        sock = connect(address)
        if number % 4 == 1:
            sock.sendall(b"x")
        elif number % 4 == 2:
            sock.sendall(b"x" * 100_000)
        elif number % 4 == 3:
            sock.sendall(b"x")
            sock.recv(1)
        reset(sock)

    async with echo_server() as (address, protocols):
        await asyncio.gather(*(blocking(rude, address, number) for number in range(40)))
        assert await blocking(talk, address) == b"hello"
        while len(protocols) < 2:
            await asyncio.sleep(0.001)
        for protocol in protocols:
            await protocol.lost()
            assert protocol.events[0] == "made"
            assert protocol.events[-1] == "lost"
            assert protocol.events.count("lost") == 1


async def test_connections_closed_before_they_are_accepted():
    async with echo_server() as (address, _):
        for _ in range(30):
            connect(address).close()
        for _ in range(10):
            reset(connect(address))
        assert await blocking(talk, address) == b"hello"


async def test_half_close_by_the_client_still_gets_the_answer():
    def ask(address):
        with connect(address) as sock:
            sock.sendall(b"question")
            sock.shutdown(socket.SHUT_WR)
            return read_exactly(sock, 100)

    async with echo_server() as (address, protocols):
        assert await blocking(ask, address) == b"question"
        assert await protocols[0].lost() is None


# --- running out of descriptors


@contextlib.contextmanager
def no_descriptors_left():
    """Inside, nothing can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_descriptors()) + 1, hard))
    holes = []
    try:
        with contextlib.suppress(OSError):
            while True:
                holes.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for hole in holes:
            os.close(hole)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.uvloop_differs(reason="goes round in circles while it cannot accept", run=False)
async def test_accepting_without_descriptors_is_reported_and_taken_up_again(reports):
    loop = asyncio.get_running_loop()
    async with echo_server() as (address, protocols):
        assert await blocking(talk, address) == b"hello"
        loop.set_exception_handler(reports)
        client = socket.socket()
        client.settimeout(10)
        with no_descriptors_left():
            client.connect(address)
            while not reports:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
        assert reports[0]["message"] == "socket.accept() out of system resource"
        assert reports[0]["exception"].errno == 24
        assert "socket" in reports[0]
        # Nobody but the listener itself knows when to go on: the connection waits in the kernel meanwhile.
        with client:
            client.sendall(b"patience")
            assert await blocking(read_exactly, client, 8) == b"patience"
        assert len(protocols) == 2


async def test_connections_that_are_open_go_on_without_descriptors():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    async with echo_server() as (address, _):
        with connect(address) as client:
            client.sendall(b"one")
            assert await blocking(read_exactly, client, 3) == b"one"
            with no_descriptors_left():
                client.sendall(b"two")
                assert await blocking(read_exactly, client, 3) == b"two"


async def test_connecting_without_descriptors_is_an_error_and_no_more():
    loop = asyncio.get_running_loop()
    async with echo_server() as (address, _):
        with no_descriptors_left():
            with pytest.raises(OSError) as caught:
                await loop.create_connection(Recorder, *address)
            assert caught.value.errno == 24
        assert await blocking(talk, address) == b"hello"


# --- protocols that fail


@pytest.mark.parametrize("method", ["connection_made", "data_received", "eof_received", "connection_lost"])
async def test_an_exception_of_a_protocol_is_reported_and_the_server_goes_on(method, reports):
    class Failing(Echo):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            if method == "connection_lost":
                raise Failure(method)

    if method != "connection_lost":

        def fail(self, *args):
            getattr(Echo, method)(self, *args)
            raise Failure(method)

        setattr(Failing, method, fail)

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(reports)
    factories = [Failing]

    async with echo_server(lambda: (factories.pop() if factories else Echo)()) as (address, protocols):
        with connect(address) as client:
            client.sendall(b"x")
            client.shutdown(socket.SHUT_WR)
            while not reports:
                await asyncio.sleep(0.001)
        # What failed in connection_made stays open in asyncio: the exception was one of a plain callback.
        if method == "connection_made":
            protocols[0].transport.abort()
        await protocols[0].lost()
        await asyncio.sleep(0.001)
        assert isinstance(reports.exceptions[0], Failure)
        assert len(reports) == 1
        assert protocols[0].events.count("lost") == 1
        assert await blocking(talk, address) == b"hello"


@pytest.mark.parametrize("method", ["data_received", "eof_received"])
async def test_the_failing_connection_is_lost_with_the_exception(method, reports):
    class Failing(Recorder):
        pass

    def fail(self, *args):
        raise Failure(method)

    setattr(Failing, method, fail)
    asyncio.get_running_loop().set_exception_handler(reports)
    with unix_pair() as (ours, theirs):
        transport, protocol = await asyncio.get_running_loop().create_connection(Failing, sock=ours)
        theirs.sendall(b"x")
        theirs.shutdown(socket.SHUT_WR)
        assert isinstance(await protocol.lost(), Failure)
        (report,) = reports
        assert report["transport"] is transport
        assert report["protocol"] is protocol
        assert isinstance(report["exception"], Failure)


@pytest.mark.uvloop_differs(reason="another text")
@pytest.mark.parametrize("method", ["data_received", "eof_received"])
async def test_the_report_names_the_method(method, reports):
    class Failing(Recorder):
        pass

    def fail(self, *args):
        raise Failure(method)

    setattr(Failing, method, fail)
    asyncio.get_running_loop().set_exception_handler(reports)
    with unix_pair() as (ours, theirs):
        _, protocol = await asyncio.get_running_loop().create_connection(Failing, sock=ours)
        theirs.sendall(b"x")
        theirs.shutdown(socket.SHUT_WR)
        await protocol.lost()
        assert reports.messages == [f"Fatal error: protocol.{method}() call failed."]


@pytest.mark.uvloop_differs(reason="reports it as a fatal error of the transport", run=False)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("method", ["data_received", "eof_received", "connection_lost"])
def test_what_ends_the_program_leaves_the_loop_from_a_protocol(new_loop, error, method, loop_name):
    class Ending(Recorder):
        pass

    def end(self, *args):
        if method == "connection_lost":
            self.note("lost")
        raise error

    setattr(Ending, method, end)
    loop = new_loop()
    loop.set_exception_handler(lambda loop, context: None)
    with unix_pair() as (ours, theirs):
        transport, protocol = loop.run_until_complete(loop.create_connection(Ending, sock=ours))
        if method == "data_received":
            theirs.sendall(b"x")
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(error):
            loop.run_until_complete(asyncio.sleep(5))
        if "lost" not in protocol.events:
            transport.abort()
            with contextlib.suppress(error):
                loop.run_until_complete(asyncio.sleep(0.001))
        # The loop goes on, however it was left.
        assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"


# --- cancellation


async def test_a_task_cancelled_in_a_read_of_a_stream_loses_nothing():
    with unix_pair() as (ours, theirs):
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        for number in range(20):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0):
                    await reader.readexactly(4)
            theirs.sendall(b"%04d" % number)
            assert await reader.readexactly(4) == b"%04d" % number
        writer.close()
        await writer.wait_closed()


async def test_cancelling_everything_at_once_ends_everything():
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        tasks = []
        for _ in range(30):
            ours, _ = stack.enter_context(unix_pair())
            tasks.append(asyncio.ensure_future(loop.sock_recv(ours, 10)))
        tasks += [asyncio.ensure_future(asyncio.sleep(3600)) for _ in range(30)]
        await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="streams report it as an error before Python 3.12")
async def test_a_server_handler_cancelled_mid_way_closes_its_connection():
    async def handle(reader, writer):
        try:
            await reader.readline()
        finally:
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    before = asyncio.all_tasks()
    with connect(server.sockets[0].getsockname()) as client:
        while not (handlers := asyncio.all_tasks() - before):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)
        for handler in handlers:
            handler.cancel()
        assert await blocking(client.recv, 10) == b""
    server.close()
    await server.wait_closed()


# --- closing in the middle of everything


@pytest.mark.parametrize("recorder", [Recorder, BufferedRecorder])
async def test_closing_all_connections_from_one_of_their_callbacks(recorder):
    with contextlib.ExitStack() as stack:
        protocols, peers = [], []

        class Last(recorder):
            pass

        def received(self, *args):
            for protocol in protocols:
                protocol.transport.abort()

        Last.data_received = Last.buffer_updated = received
        for _ in range(20):
            ours, theirs = stack.enter_context(unix_pair())
            _, protocol = await asyncio.get_running_loop().create_connection(Last, sock=ours)
            protocols.append(protocol)
            peers.append(theirs)
        for peer in peers:
            peer.sendall(b"x")
        for protocol in protocols:
            assert await protocol.lost() is None
            assert protocol.events == ["made", "lost"]


async def test_a_new_connection_in_connection_lost_may_get_the_same_descriptor():
    loop = asyncio.get_running_loop()
    rounds = 30
    finished = loop.create_future()

    class Again(Echo):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            asyncio.ensure_future(start())

    count = 0

    async def start():
        nonlocal count
        count += 1
        if count > rounds:
            finished.set_result(None)
            return
        ours, theirs = socket.socketpair()
        theirs.settimeout(10)
        _, protocol = await loop.create_connection(Again, sock=ours)
        theirs.sendall(b"x")
        await protocol.received(1)
        assert await blocking(theirs.recv, 10) == b"x"
        theirs.close()

    await start()
    await finished


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # which it is
def test_closing_the_loop_with_open_connections_is_possible(new_loop, loop_name):
    if loop_name == "uvloop":
        pytest.xfail("waits for the peer for ever")
    loop = new_loop()
    with tcp_pair() as (ours, theirs):
        transport, _ = loop.run_until_complete(loop.create_connection(Recorder, sock=ours))
        transport.abort()  # its connection_lost() is scheduled and never runs
        loop.close()
        ours.close()


def test_stopping_with_connections_open_and_going_on(new_loop):
    loop = new_loop()
    with unix_pair() as (ours, theirs):
        transport, protocol = loop.run_until_complete(loop.create_connection(Echo, sock=ours))
        theirs.sendall(b"while it stood still")
        loop.run_until_complete(protocol.received(20))
        assert read_exactly(theirs, 20) == b"while it stood still"
        transport.close()
        loop.run_until_complete(protocol.lost())


# --- whole programs


def test_a_child_of_fork_leaves_the_parents_loop_alone(loop_name):
    code, out, err = run_program(
        loop_name,
        """
        import os, socket

        async def main():
            loop = asyncio.get_running_loop()
            ours, theirs = socket.socketpair()
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            pid = os.fork()
            if pid == 0:
                try:
                    asyncio._set_running_loop(None)
                    child = new_loop()  # a loop of its own
                    assert child.run_until_complete(asyncio.sleep(0.001, "child")) == "child"
                    child.close()
                    os._exit(0)
                except BaseException as exc:
                    print(repr(exc))
                    os._exit(1)
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                await asyncio.sleep(0.001)
            theirs.sendall(b"still here")
            print((await reader.readexactly(10)).decode())
            await loop.run_in_executor(None, int)
            theirs.close()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """,
    )
    assert (code, out) == (0, "still here\n"), err


def test_a_child_of_fork_that_exits_leaves_the_parents_loop_alone(loop_name):
    code, out, err = run_program(
        loop_name,
        """
        import os, socket

        async def main():
            loop = asyncio.get_running_loop()
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            loop.add_signal_handler(10, print, "signal")
            waiting = asyncio.ensure_future(loop.sock_recv(ours, 10))
            await asyncio.sleep(0.001)
            pid = os.fork()
            if pid == 0:
                loop = ours = theirs = None
                os._exit(0)
            os.waitpid(pid, 0)
            theirs.sendall(b"x")
            print(await waiting)
            os.kill(os.getpid(), 10)
            await asyncio.sleep(0.01)
            ours.close()
            theirs.close()

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """,
    )
    assert (code, out) == (0, "b'x'\nsignal\n"), err


@pytest.mark.parametrize("asleep", [True, False], ids=["asleep", "busy"])
def test_ctrl_c_ends_a_program_and_runs_its_finally_blocks(loop_name, asleep):
    with start_program(
        loop_name,
        f"""
        async def main():
            print("ready")
            try:
                while True:
                    await asyncio.sleep({3600 if asleep else 0})
            finally:
                await asyncio.sleep(0)
                print("cleaned up")

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == -signal.SIGINT
    assert out == "cleaned up\n"
    assert err.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.uvloop_differs(reason="the signal waits until something else happens", run=False)
def test_ctrl_c_in_run_forever_is_a_keyboard_interrupt_and_the_loop_stays_usable(loop_name):
    with start_program(
        loop_name,
        """
        loop = new_loop()
        loop.call_soon(print, "ready")
        try:
            loop.run_forever()
        except KeyboardInterrupt:
            print("interrupted")
        print(loop.run_until_complete(asyncio.sleep(0.001, "usable")))
        loop.close()
        """,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (0, "interrupted\nusable\n"), err


def test_sigterm_can_shut_a_server_down_cleanly(loop_name):
    with start_program(
        loop_name,
        """
        import signal

        async def main():
            loop = asyncio.get_running_loop()
            stop = asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, stop.set)
            server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
            print("ready")
            await stop.wait()
            server.close()
            await server.wait_closed()
            print("done")

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (0, "done\n"), err


def test_a_program_that_fails_exits_with_its_traceback(loop_name):
    code, _, err = run_program(
        loop_name,
        """
        async def main():
            await asyncio.sleep(0)
            raise LookupError("the reason")

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """,
    )
    assert code == 1
    assert err.rstrip().endswith("LookupError: the reason")
