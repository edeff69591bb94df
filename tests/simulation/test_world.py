"""Machines, lines and faults: what a program meets that runs on several hosts."""

import asyncio
import errno
import re
import socket
import struct
import sys

import pytest

from loopkit.testing import Deadlock, Found, explore, run, settle
from loopkit.testing.choices import Deviation, Token
from loopkit.testing.exploring import examine


async def uppercase(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line.upper())
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve():
    server = await asyncio.start_server(uppercase, "db", 5432)
    await server.serve_forever()


def two_hosts(**link):
    world = asyncio.get_running_loop().world
    db, app = world.host("db"), world.host("app")
    if link:
        world.link("db", "app", **link)
    return world, db, app


async def ask(line=b"hello\n"):
    reader, writer = await asyncio.open_connection("db", 5432)
    writer.write(line)
    answer = await reader.readline()
    writer.close()
    return answer


def test_a_connection_takes_the_time_that_its_packets_take():
    async def main():
        world, db, app = two_hosts(latency=0.1)
        db.run(serve)
        await settle()
        before = world.clock.now
        assert await app.run(ask) == b"HELLO\n"
        return world.clock.now - before

    assert run(main) == pytest.approx(0.4)  # there and back for the handshake, and for the question


def test_a_rate_makes_much_take_longer():
    async def main(rate):
        world, db, app = two_hosts(latency=0.01, rate=rate)
        db.run(serve)
        await settle()
        await app.run(ask, b"x" * 50_000 + b"\n")
        return world.clock.now

    assert run(lambda: main(10_000)) > 9 > run(lambda: main(1e6))


def test_addresses_and_names_are_those_of_the_world():
    async def main():
        two_hosts()
        infos = await asyncio.get_running_loop().getaddrinfo("db", 80, type=socket.SOCK_STREAM)
        assert [info[4][0] for info in infos] == ["10.0.0.2", "fd00::2"]
        assert socket.gethostbyname("app") == "10.0.0.3"
        with pytest.raises(socket.gaierror, match="the world has no host 'mail'"):
            await asyncio.open_connection("mail", 25)

    run(main)


def test_a_partition_holds_what_is_sent_until_it_is_healed():
    async def main():
        world, db, app = two_hosts(latency=0.01)
        db.run(serve)
        await settle()

        async def client():
            reader, writer = await asyncio.open_connection("db", 5432)
            world.partition("db", "app")
            writer.write(b"hello\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readline(), 60)
            world.heal()
            answer = await reader.readline()
            writer.close()
            return answer

        assert await app.run(client) == b"HELLO\n"

    run(main)


def test_a_sender_gives_up_and_a_receiver_notices_nothing():
    async def main():
        world, db, app = two_hosts()
        db.run(serve)
        await settle()

        async def client():
            reader, writer = await asyncio.open_connection("db", 5432)
            world.partition("db", "app")
            writer.write(b"hello\n")
            with pytest.raises(TimeoutError) as caught:
                await reader.readline()
            writer.close()
            return caught.value.errno, world.clock.now

        return await app.run(client)

    code, when = run(main)
    assert code == errno.ETIMEDOUT
    assert 900 < when < 950


def test_connecting_to_where_nobody_answers_takes_two_minutes_an_address():
    async def main():
        world, db, app = two_hosts()
        world.crash("db")
        with pytest.raises(OSError, match="Errno 110"):
            await app.run(ask)
        return world.clock.now

    assert run(main) == pytest.approx(2 * 127, abs=1)  # it has two addresses


def test_after_a_crash_nothing_runs_and_after_a_restart_old_connections_are_reset():
    async def main():
        world, db, app = two_hosts()
        ended = []

        async def careful():
            try:
                await serve()
            finally:
                ended.append("finally")

        async def client():
            reader, writer = await asyncio.open_connection("db", 5432)
            writer.write(b"one\n")
            assert await reader.readline() == b"ONE\n"
            world.crash("db")
            await asyncio.sleep(1)
            world.restart("db")
            await settle()
            writer.write(b"two\n")
            with pytest.raises(ConnectionResetError):
                await reader.readline()
            assert ended == []
            return await ask()

        db.run(careful)
        await settle()
        assert await app.run(client) == b"HELLO\n"

    run(main)


def test_a_host_that_stands_still_goes_on_where_it_was():
    async def main():
        world, db, app = two_hosts()
        db.run(serve)
        await settle()
        world.stall("db", 10)
        assert await app.run(ask) == b"HELLO\n"
        return world.clock.now

    assert run(main) == pytest.approx(10)


def test_connections_between_two_hosts_can_be_reset():
    async def main():
        world, db, app = two_hosts()
        db.run(serve)
        await settle()

        async def client():
            reader, writer = await asyncio.open_connection("db", 5432)
            await settle()
            assert world.reset("db", "app") == 2
            with pytest.raises(ConnectionResetError):
                await reader.readline()
            writer.close()

        await app.run(client)

    run(main)


async def a_connection_that_is_reset(wait, say=b""):
    """The server's end of a connection whose client says *say*, and resets it after *wait* seconds."""
    world, db, app = two_hosts(latency=0.1)
    come = asyncio.get_running_loop().create_future()
    server = await db.run(asyncio.start_server, lambda *pair: come.set_result(pair), "db", 5432)

    async def client():
        _, writer = await asyncio.open_connection("db", 5432)
        reader, served = await come
        writer.write(say)
        await asyncio.sleep(wait)
        begun = world.clock.now
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return begun, reader, served

    return world, server, await app.run(client)


def test_a_reset_comes_behind_what_was_sent_before_it_and_takes_its_time():
    async def main():
        world, server, (begun, reader, served) = await a_connection_that_is_reset(0.05, b"one")
        async with server:
            assert await reader.readexactly(3) == b"one"
            with pytest.raises(ConnectionResetError):
                await reader.read()
            served.close()
            return world.clock.now - begun

    assert run(main) == pytest.approx(0.1)


def test_a_reset_that_is_lost_is_not_sent_again_until_somebody_sends():
    async def main():
        world, server, (_begun, reader, served) = await a_connection_that_is_reset(0)
        async with server:
            world.partition("db", "app")
            await asyncio.sleep(1)
            world.heal()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3600):
                    await reader.read()
            served.write(b"hello?")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            served.close()

    run(main)


def test_a_host_has_so_many_descriptors_and_no_more():
    async def main():
        world = asyncio.get_running_loop().world
        small = world.host("small", fds=3)

        async def opens():
            sockets = [socket.socket() for _ in range(3)]
            with pytest.raises(OSError) as caught:
                socket.socket()
            assert caught.value.errno == errno.EMFILE
            sockets.pop().close()
            socket.socket().close()

        await small.run(opens)

    run(main)


def test_a_host_has_so_much_room_for_what_nobody_reads():
    async def main():
        world, db, app = two_hosts()
        world.host("db", buffers=1000)
        world.host("app", buffers=2000)

        async def mute():
            server = socket.create_server(("db", 5432))
            await asyncio.sleep(3600)
            server.close()

        async def fills():
            with socket.create_connection(("db", 5432)) as sock:
                sock.setblocking(False)
                return sock.send(bytes(100_000)) + sock.send(bytes(100_000))

        db.run(mute)
        await settle()
        return await app.run(fills)

    assert run(main) == 3000


def test_datagrams_get_lost_and_come_twice():
    async def main(**link):
        world, db, app = two_hosts(**link)
        got = []

        class Receiver(asyncio.DatagramProtocol):
            def datagram_received(self, data, address):
                got.append(data)

        async def receive():
            await asyncio.get_running_loop().create_datagram_endpoint(Receiver, local_addr=("db", 9))
            await asyncio.sleep(100)

        async def send():
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=("db", 9)
            )
            for n in range(100):
                transport.sendto(b"%d" % n)
            await settle()
            transport.close()

        db.run(receive)
        await settle()
        await app.run(send)
        return len(got)

    assert run(main) == 100
    assert 50 < run(lambda: main(loss=0.2)) < 95
    assert 105 < run(lambda: main(duplicate=0.2)) < 150


def test_a_fault_that_the_program_allows_is_explored_and_named(tmp_path):
    async def main():
        world, db, app = two_hosts(latency=0.01)
        db.run(serve)
        await settle()

        async def client():
            reader, writer = await asyncio.open_connection("db", 5432)
            if world.fault("the database restarts"):
                world.crash("db")
                world.restart("db")
            writer.write(b"x\n")
            assert await reader.readline() == b"X\n"

        await app.run(client)

    with pytest.raises(Found) as caught:
        explore(main, seeds=50)
    text = str(caught.value)
    assert "ConnectionResetError" in text
    assert "the fault 'the database restarts' happened" in text
    assert "between the hosts:" in text
    assert "SYN" in text
    assert "RST" in text
    caught.value.report.record(tmp_path / "turns.txt")
    turns = (tmp_path / "turns.txt").read_text()
    assert "mark: the fault 'the database restarts' happened" in turns
    assert re.search(r"mark: app -> .*SYN", turns)
    assert "error: ConnectionResetError" in turns


def test_a_deadlock_names_the_sockets_that_stay_silent():
    async def main():
        _, db, app = two_hosts()
        held = []

        async def mute():
            server = await asyncio.start_server(lambda *streams: held.append(streams), "db", 5432)
            await server.serve_forever()

        db.run(mute)
        await settle()
        await app.run(ask)

    with pytest.raises(Deadlock) as caught:
        run(main)
    text = str(caught.value)
    assert "waits for data for StreamReader reader" in text
    assert "sockets that stay silent:" in text
    assert "10.0.0.2" in text


def test_a_host_that_is_not_there_is_an_error_with_those_that_are():
    async def main():
        world, *_ = two_hosts()
        with pytest.raises(ValueError, match="no host 'dba'; it has localhost, db, app"):
            world.crash("dba")

    run(main)


def test_a_failure_that_no_schedule_repeats_says_so():
    count = 0

    async def main():
        nonlocal count
        count += 1
        await asyncio.sleep(count)
        assert count != 3

    with pytest.raises(
        Found, match="NOTE: it failed once, and not when .* repeated.*differ first at"
    ) as caught:
        explore(main, seeds=10)
    assert isinstance(caught.value.__cause__, AssertionError)


def test_a_report_says_what_came_later_by_how_much_where_it_did_and_how_each_task_ended():
    async def main():
        async def shout(reader, writer):
            writer.write((await reader.readline()).upper())
            writer.close()

        async def ask():
            reader, writer = await asyncio.open_connection("127.0.0.1", 80)
            try:
                writer.write(b"hello\n")
                async with asyncio.timeout(0.25):
                    return (await reader.readline()).decode()
            except TimeoutError:
                return "nothing"
            finally:
                writer.close()

        await asyncio.start_server(shout, "127.0.0.1", 80)
        assert await asyncio.create_task(ask()) == "HELLO\n"

    reports = []
    for packet in range(1, 8):  # each of them late, in a run of its own
        try:
            examine(main, Token(sys.version_info[1], "time", 0, (Deviation("net", packet, 1),)))
        except Found as found:
            reports.append(str(found))
        except RuntimeError:
            continue  # there was nothing after which it could have come
    text = next(report for report in reports if "6 bytes" in report)
    assert "  - 6 bytes from localhost to localhost came 250 ms later" in text
    before, _, after = text.partition("* 6 bytes from localhost to localhost came 250 ms later")
    assert "what happened:" in before
    assert "done: 'nothing'" in after
    assert "main                         failed: AssertionError" in after
