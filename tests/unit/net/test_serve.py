"""Accepting: how much, in which context, and what happens when the system has nothing left."""

import asyncio
import contextlib
import contextvars
import errno
import os
import resource
import socket

import pytest

from loopkit.net import listen, serve
from tests.support.fdtable import is_read
from tests.support.net import connect, read_all, unix_pair
from tests.support.protocols import Echo, Recorder


@contextlib.asynccontextmanager
async def serving(factory, **options):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, **options)
    try:
        yield server, server.sockets[0].getsockname()
    finally:
        server.close()
        server.abort_clients()
        await asyncio.sleep(0)
        await server.wait_closed()


class Factory:
    """Makes recorders and keeps them."""

    def __init__(self, kind=Recorder):
        self.kind, self.made = kind, []

    def __call__(self):
        self.made.append(self.kind())
        return self.made[-1]

    async def until(self, count):
        while sum("made" in protocol.events for protocol in self.made) < count:
            await asyncio.sleep(0.001)


# -- accepting -----------------------------------------------------------------------------------------------


async def test_connection_made_is_called_while_accepting():
    """No task and no turn between: all that wait in the queue are connected by one event."""
    factory, seen = Factory(), []
    async with serving(factory) as (server, address):
        clients = [connect(address) for _ in range(5)]
        loop = asyncio.get_running_loop()
        real = server._on_connections

        def on_connections(*args):
            real(*args)
            seen.append(len(factory.made))

        loop._watches.reader(server.sockets[0].fileno())._callback = on_connections
        await factory.until(5)
        assert seen[0] == 5
        for client in clients:
            client.close()


async def test_one_event_accepts_no_more_than_the_backlog():
    factory, seen = Factory(), []
    async with serving(factory, backlog=3) as (server, address):
        clients = [connect(address) for _ in range(4)]
        real = server._on_connections

        def on_connections(*args):
            before = len(factory.made)
            real(*args)
            seen.append(len(factory.made) - before)

        asyncio.get_running_loop()._watches.reader(server.sockets[0].fileno())._callback = on_connections
        await factory.until(4)
        assert max(seen) == 3
        for client in clients:
            client.close()


async def test_a_protocol_that_closes_the_server_ends_accepting():
    class Closing(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            server.close()

    factory = Factory(Closing)
    async with serving(factory) as (server, address):
        clients = [connect(address) for _ in range(3)]
        await factory.until(1)
        await asyncio.sleep(0.001)
        assert len(factory.made) == 1
        for client in clients:
            client.close()


async def test_each_connection_has_a_context_of_its_own_made_of_the_servers():
    variable = contextvars.ContextVar("variable")
    seen = []

    class Noting(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            seen.append(variable.get())
            variable.set(f"connection {len(seen)}")

        def data_received(self, data):
            super().data_received(data)
            seen.append(variable.get())

        def connection_lost(self, exc):
            seen.append(variable.get())
            super().connection_lost(exc)

    factory = Factory(Noting)
    variable.set("of the server")
    async with serving(factory) as (server, address):
        variable.set("changed later")
        with connect(address) as one:
            await factory.until(1)
            with connect(address) as two:
                await factory.until(2)
                one.send(b"x")
                await factory.made[0].received(1)
                two.send(b"x")
                await factory.made[1].received(1)
            await factory.made[1].lost()
        await factory.made[0].lost()
    assert seen == [
        "of the server",
        "of the server",
        "connection 1",
        "connection 2",
        "connection 2",
        "connection 1",
    ]


# -- errors --------------------------------------------------------------------------------------------------


@pytest.fixture
def few_descriptors():
    """A limit that leaves room for `spare` more descriptors; what takes them up is closed at the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []

    def limit(spare):
        highest = max(map(int, os.listdir("/proc/self/fd"))) + 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + spare + 1, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        for _ in range(spare):
            os.close(taken.pop())

    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for fd in taken:
        os.close(fd)


async def test_out_of_descriptors_is_reported_once_and_nobody_is_lost(few_descriptors, reports, monkeypatch):
    monkeypatch.setattr(serve, "ACCEPT_RETRY_DELAY", 0.02)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(reports)
    factory = Factory(Echo)
    async with serving(factory) as (server, address):
        number = server.sockets[0].fileno()
        clients = [connect(address) for _ in range(3)]
        few_descriptors(0)
        while not reports:
            await asyncio.sleep(0)
        assert not is_read(loop._watches, number)  # it rests: the listener is readable all the time
        [report] = reports
        assert report["message"] == "socket.accept() out of system resource"
        assert report["exception"].errno == errno.EMFILE
        assert report["socket"].fileno() == number
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft + 10, hard))
        await factory.until(3)
        for client in clients:
            client.sendall(b"hello")
        for protocol in factory.made:
            await protocol.received(5)
        for client in clients:
            assert client.recv(5) == b"hello"
            client.close()


async def test_a_server_closed_while_accepting_rests_stays_closed(few_descriptors, reports, monkeypatch):
    monkeypatch.setattr(serve, "ACCEPT_RETRY_DELAY", 0.005)
    asyncio.get_running_loop().set_exception_handler(reports)
    async with serving(Factory()) as (server, address):
        client = connect(address)
        few_descriptors(0)
        while not reports:
            await asyncio.sleep(0)
        server.close()
        await asyncio.sleep(0.02)
        assert len(reports) == 1
        client.close()


async def test_a_factory_that_fails_costs_that_connection_only(reports):
    asyncio.get_running_loop().set_exception_handler(reports)
    made = []

    def factory():
        made.append(1)
        if len(made) == 1:
            raise LookupError("no protocol")
        return Echo()

    async with serving(factory) as (server, address):
        with connect(address) as refused, connect(address) as served:
            while len(made) < 2:
                await asyncio.sleep(0.001)
            assert read_all(refused) == b""
            served.send(b"x")
            await asyncio.sleep(0.01)
            assert served.recv(1) == b"x"
    [report] = reports
    assert report["message"] == "Error on transport creation for incoming connection"
    assert "protocol" not in report


async def test_an_error_in_connection_made_is_reported_and_the_connection_lives(reports):
    asyncio.get_running_loop().set_exception_handler(reports)

    class Failing(Echo):
        def connection_made(self, transport):
            super().connection_made(transport)
            raise LookupError("made")

    factory = Factory(Failing)
    async with serving(factory) as (server, address):
        with connect(address) as client:
            await factory.until(1)
            client.send(b"x")
            await factory.made[0].received(1)
            assert client.recv(1) == b"x"
    assert [str(exc) for exc in reports.exceptions] == ["made"]
    assert "connection_made" in reports.messages[0]


async def test_an_error_of_accept_that_is_not_about_resources_is_reported(reports):
    asyncio.get_running_loop().set_exception_handler(reports)

    class Broken:
        def accept(self):
            raise OSError(errno.EPERM, "firewalled")

    async with serving(Factory()) as (server, address):
        handle = asyncio.get_running_loop()._watches.reader(server.sockets[0].fileno())
        listener, handle._args = handle._args[0], (Broken(),)
        with connect(address):
            while not reports:
                await asyncio.sleep(0.001)
            handle._args = (listener,)
            await asyncio.sleep(0.001)
    assert reports[0]["exception"].errno == errno.EPERM


# -- waiting for the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", [False, True])
async def test_whether_wait_closed_waits_for_clients_depends_on_the_version(monkeypatch, waits):
    monkeypatch.setattr(serve, "WAITS_FOR_CLIENTS", waits)
    factory = Factory()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0)
    with connect(server.sockets[0].getsockname()):
        await factory.until(1)
        server.close()
        waiting = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert waiting.done() is not waits
    await factory.made[0].lost()
    await waiting


# -- Unix ----------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "socket")


async def unix_server(path, **options):
    return await asyncio.get_running_loop().create_unix_server(Recorder, path, **options)


async def test_the_socket_file_is_removed_with_the_server(path):
    server = await unix_server(path, cleanup_socket=True)
    assert os.path.exists(path)
    server.close()
    assert not os.path.exists(path)


async def test_the_socket_file_stays_if_asked(path):
    server = await unix_server(path, cleanup_socket=False)
    server.close()
    assert os.path.exists(path)


async def test_a_file_that_somebody_else_bound_anew_stays(path):
    server = await unix_server(path, cleanup_socket=True)
    os.rename(path, path + ".old")  # keeps its inode in use
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        server.close()
        assert os.path.exists(path)


async def test_a_file_that_is_gone_already_is_no_error(path):
    server = await unix_server(path, cleanup_socket=True)
    os.remove(path)
    server.close()
    assert not server.is_serving()


async def test_a_stale_file_is_replaced_and_another_kind_is_not(path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    server = await unix_server(path, cleanup_socket=True)
    server.close()
    with open(path, "w"):
        pass
    with pytest.raises(OSError, match=f"Address '{path}' is already in use"):
        await unix_server(path)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [0, 0o600, 0o660, 0o666, 0o777])
async def test_the_mode_is_that_of_the_file_whatever_the_umask(path, mode, umask):
    mask = os.umask(umask)
    try:
        server = await unix_server(path, mode=mode)
        assert os.umask(umask) == umask  # which is the whole process's
    finally:
        os.umask(mask)
    assert os.stat(path).st_mode & 0o7777 == mode
    server.close()


async def test_a_file_that_cannot_have_its_mode_is_not_left_behind(path, monkeypatch):
    def refuse(name, mode):
        raise PermissionError(errno.EPERM, "not allowed", name)

    monkeypatch.setattr(listen, "chmod", refuse)
    mask = os.umask(0o077)
    try:
        with pytest.raises(PermissionError):
            await unix_server(path, mode=0o666)
    finally:
        os.umask(mask)
    assert not os.path.exists(path)


async def test_a_mode_without_a_path_is_refused():
    with socket.socket(socket.AF_UNIX) as sock:
        with pytest.raises(ValueError, match="mode can only be specified together with path"):
            await asyncio.get_running_loop().create_unix_server(Recorder, sock=sock, mode=0o600)


@pytest.mark.parametrize(
    "name", [f"\0loopkit-{os.getpid()}", f"\0loopkit-b-{os.getpid()}".encode()], ids=["str", "bytes"]
)
async def test_an_abstract_name_leaves_no_file(name):
    before = os.listdir()
    server = await unix_server(name)
    with connect(name):
        await asyncio.sleep(0.01)
    server.close()
    server.abort_clients()
    await asyncio.sleep(0)
    await server.wait_closed()
    assert os.listdir() == before


async def test_a_listening_socket_is_known_as_the_loops_own():
    """So that the busy poller may try accept() on it."""
    loop = asyncio.get_running_loop()
    async with serving(Factory()) as (server, _):
        number = server.sockets[0].fileno()
        assert loop._watches.owner(number)._socket is server._sockets[0]
        server.close()
        assert loop._watches.owner(number) is None


async def test_a_datagram_socket_is_no_server():
    with unix_pair(socket.SOCK_DGRAM) as (ours, _):
        with pytest.raises(ValueError, match="A UNIX Domain Stream Socket was expected"):
            await asyncio.get_running_loop().create_unix_server(Recorder, sock=ours)
