"""What every transport has: an owner's entry, names, a life with a beginning and an end."""

import asyncio
import gc
import weakref

import pytest

import loopkit
from tests.support.fdtable import armed, is_read
from tests.support.net import connect, reset, tcp_pair, unix_pair
from tests.support.protocols import Recorder
from tests.support.pythons import collect, drop


async def connected(sock, protocol=None):
    loop = asyncio.get_running_loop()
    return await loop.connect_accepted_socket(lambda: protocol or Recorder(), sock)


async def end(transport, protocol):
    transport.abort()
    await protocol.lost()
    await asyncio.sleep(0)


async def test_the_descriptor_is_its_own_from_beginning_to_end():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        transport, protocol = await connected(ours)
        assert loop._watches.owner(fd) is transport
        assert loop._watches.reader(fd) is transport
        transport.abort()
        assert not is_read(loop._watches, fd)
        assert not armed(loop._watches, fd)
        assert loop._watches.owner(fd) is transport  # until it is closed
        await protocol.lost()
        await asyncio.sleep(0)
        assert loop._watches.owner(fd) is None
        assert ours.fileno() == -1


async def test_a_second_transport_on_a_descriptor_is_refused():
    with unix_pair() as (ours, theirs):
        transport, protocol = await connected(ours)
        with pytest.raises(RuntimeError, match="is used by transport <StreamTransport"):
            await connected(ours)
        assert ours.fileno() != -1
        await end(transport, protocol)


async def test_nothing_refers_to_a_transport_that_has_ended():
    with unix_pair() as (ours, theirs):
        transport, protocol = await connected(ours)
        await end(transport, protocol)
        gone = weakref.ref(transport)
        protocol.transport = None
        gc.disable()  # without a collector: there is no circle
        try:
            del transport
            drop()
            assert gone() is None
        finally:
            gc.enable()


async def test_names_are_known_after_the_end():
    with tcp_pair() as (ours, theirs):
        names = ours.getsockname(), ours.getpeername()
        transport, protocol = await connected(ours)
        await end(transport, protocol)
        assert (transport.get_extra_info("sockname"), transport.get_extra_info("peername")) == names
        assert transport.get_extra_info("anything", "else") == "else"


async def test_names_are_not_looked_up_before_somebody_asks():
    with tcp_pair() as (ours, theirs):
        transport, protocol = await connected(ours)
        assert "sockname" not in transport._extra
        assert transport.get_extra_info("sockname") == ours.getsockname()
        assert transport._extra["sockname"] == ours.getsockname()
        await end(transport, protocol)


async def test_the_socket_is_shown_in_a_safe_wrapper():
    with tcp_pair() as (ours, theirs):
        transport, protocol = await connected(ours)
        shown = transport.get_extra_info("socket")
        assert isinstance(shown, asyncio.trsock.TransportSocket)
        assert shown.fileno() == ours.fileno()
        assert transport.get_extra_info("socket") is shown
        await end(transport, protocol)


async def test_the_name_of_a_peer_that_has_gone_is_none():
    with tcp_pair() as (ours, theirs):
        reset(theirs)
        with pytest.raises(OSError, match="not connected"):
            ours.getpeername()
        transport, protocol = await connected(ours)
        assert transport.get_extra_info("peername") is None
        assert isinstance(await protocol.lost(), ConnectionResetError)


async def test_the_repr_tells_the_state():
    with unix_pair() as (ours, theirs):
        fd = ours.fileno()
        transport, protocol = await connected(ours)
        assert repr(transport) == f"<StreamTransport fd={fd} read=polling write=<idle, bufsize=0>>"
        transport.pause_reading()
        assert "read=idle" in repr(transport)
        transport.abort()
        assert repr(transport).startswith(f"<StreamTransport closing fd={fd} read=idle")
        await protocol.lost()
        await asyncio.sleep(0)
        assert repr(transport) == f"<StreamTransport closed fd={fd}>"


async def test_it_takes_attributes():
    with unix_pair() as (ours, theirs):
        transport, protocol = await connected(ours)
        transport.note = "hung on by a program"
        assert weakref.ref(transport)() is transport
        assert transport.note
        await end(transport, protocol)


def test_a_transport_left_over_by_a_closed_loop_warns_and_closes_its_socket():
    loop = loopkit.EpollLoop()
    with unix_pair() as (ours, theirs):
        loop.run_until_complete(connected(ours))
        loop.close()
        with pytest.warns(ResourceWarning, match="unclosed transport <StreamTransport"):
            collect()
        assert ours.fileno() == -1


async def test_an_exception_in_connection_lost_is_reported_and_the_socket_closed(reports):
    asyncio.get_running_loop().set_exception_handler(reports)

    class Failing(Recorder):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise LookupError("lost")

    with unix_pair() as (ours, theirs):
        transport, protocol = await connected(ours, Failing())
        await end(transport, protocol)
        assert [str(exc) for exc in reports.exceptions] == ["lost"]
        assert ours.fileno() == -1


async def test_connection_lost_comes_once_however_often_it_is_ended():
    with unix_pair() as (ours, theirs):
        transport, protocol = await connected(ours)
        transport.close()
        transport.abort()
        transport.close()
        transport.abort()
        await protocol.lost()
        await asyncio.sleep(0.001)
        assert protocol.events == ["made", "lost"]


async def test_pausing_and_resuming_after_the_end_is_harmless():
    with unix_pair() as (ours, theirs):
        transport, protocol = await connected(ours)
        await end(transport, protocol)
        transport.pause_reading()
        transport.resume_reading()
        assert transport.is_reading() is False
        assert transport.is_closing() is True


def test_pausing_when_the_loop_was_closed_is_harmless():
    loop = loopkit.EpollLoop()
    with unix_pair() as (ours, theirs):
        transport, _ = loop.run_until_complete(connected(ours))
        loop.close()
        transport.pause_reading()
        assert transport.is_reading() is False
        del transport, _
        with pytest.warns(ResourceWarning, match="unclosed transport"):
            collect()


def test_a_transport_that_waits_for_nothing_and_is_nobodys_complains():
    """While it reads the loop holds it; paused, or at the end of the stream, only the program does."""
    for stops in ("pause", "end"):
        loop = loopkit.EpollLoop()
        with unix_pair() as (ours, theirs):
            transport, protocol = loop.run_until_complete(connected(ours))
            number = ours.fileno()
            if stops == "pause":
                transport.pause_reading()
            else:
                protocol.eof_received = lambda: True
                theirs.close()
                loop.call_later(0.001, loop.stop)
                loop.run_forever()
            protocol.transport = None
            del transport, protocol
            with pytest.warns(ResourceWarning, match="unclosed transport <StreamTransport"):
                collect()
            assert loop._watches.owner(number) is None
        loop.close()


async def test_a_server_counts_its_connections():
    loop = asyncio.get_running_loop()
    made = []

    def factory():
        made.append(Recorder())
        return made[-1]

    server = await loop.create_server(factory, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    clients = [connect(address) for _ in range(3)]
    while len(made) < 3:
        await asyncio.sleep(0.001)
    assert server._active == 3
    clients[0].close()
    await made[0].lost()
    await asyncio.sleep(0)
    assert server._active == 2
    server.close()
    for client in clients:
        client.close()
    for protocol in made:
        await protocol.lost()
    await server.wait_closed()


async def test_data_comes_after_who_awaits_the_connection_even_on_a_used_socket():
    """A socket that `sock_recv` has left armed may be in the poll's answer when its transport begins."""
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, theirs):
        theirs.send(b"x")
        assert await loop.sock_recv(ours, 10) == b"x"
        waiting = asyncio.ensure_future(loop.sock_recv(ours, 10))
        await asyncio.sleep(0)
        theirs.send(b"y")
        assert await waiting == b"y"
        order = []

        class Noting(asyncio.Protocol):
            def connection_made(self, transport):
                order.append("made")
                theirs.send(b"z")

            def data_received(self, data):
                order.append("data")

        theirs.send(b"before")
        loop.call_at(loop.time(), int)  # due: so the turn in which the transport begins does poll
        transport, _ = await loop.create_connection(Noting, sock=ours)
        order.append("resumed")
        while "data" not in order:
            await asyncio.sleep(0)
        assert order[:3] == ["made", "resumed", "data"]
        transport.close()
        await asyncio.sleep(0)
