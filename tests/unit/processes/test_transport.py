"""The transport of a child: many at once, early events, cancelled creations, lost statuses, signals."""

import asyncio
import contextvars
import os
import resource
import signal
import subprocess
import sys
import warnings
from unittest import mock

import pytest

import loopkit
from loopkit.processes import transport as transports
from loopkit.processes import watch
from tests.support.leaks import child_processes, open_descriptors
from tests.support.net import PATIENCE
from tests.support.processes import wait_until_gone
from tests.support.protocols import Recorder
from tests.support.pythons import collect, needs_pidfd

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL


class Child(Recorder, asyncio.SubprocessProtocol):
    def __init__(self):
        super().__init__()
        self.output = {1: b"", 2: b""}

    def pipe_data_received(self, fd, data):
        self.output[fd] += data
        self.note("data", fd)

    def pipe_connection_lost(self, fd, exc):
        self.note("pipe lost", fd)

    def process_exited(self):
        self.note("exited")


async def start(*args, protocol=Child, **kwargs):
    return await asyncio.get_running_loop().subprocess_exec(protocol, *args, **kwargs)


@pytest.fixture(params=["pidfd", "thread"])
def way(request, monkeypatch):
    if request.param == "thread":
        monkeypatch.setattr(watch, "pidfd_open", None)
    return request.param


# -- many ----------------------------------------------------------------------------------------------------


@pytest.fixture
def descriptors():
    """A limit of descriptors that lets 500 children have two each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("not enough descriptors allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.timeout(90)
@pytest.mark.loops("epoll", "poll")  # select cannot watch so many; the busy poller leaves them no processor
async def test_five_hundred_children_at_once(descriptors):
    count = 500
    script = "read number; exit $((number % 200))"
    processes = [
        await asyncio.create_subprocess_exec("sh", "-c", script, stdin=PIPE, stdout=DEVNULL)
        for _ in range(count)
    ]
    assert [process.returncode for process in processes] == [None] * count

    async def finish(number):
        await processes[number].communicate(b"%d\n" % number)
        return number, processes[number].returncode

    order = [*range(1, count, 2), *range(0, count, 2)]
    found = await asyncio.gather(*(finish(number) for number in order))
    assert found == [(number, number % 200) for number in order]


async def test_two_hundred_short_lives():
    async def run(number):
        process = await asyncio.create_subprocess_exec("echo", str(number), stdin=DEVNULL, stdout=PIPE)
        out, _ = await process.communicate()
        return int(out), process.returncode

    found = await asyncio.gather(*(run(number) for number in range(200)))
    assert found == [(number, 0) for number in range(200)]


# -- what comes early ----------------------------------------------------------------------------------------


async def test_what_comes_before_connection_made_is_replayed_after_it(way):
    loop = asyncio.get_running_loop()
    connect = loop.connect_read_pipe

    async def slowly(factory, file):
        transport, protocol = await connect(factory, file)
        if protocol.fd == 1:
            # stderr is connected only when stdout has come to its end.
            while not protocol.disconnected:
                await asyncio.sleep(0.001)
        return transport, protocol

    loop.connect_read_pipe = slowly
    transport, child = await start("sh", "-c", "echo out; echo err >&2; exit 3", stdin=None)
    assert child.events[:3] == ["made", ("data", 1), ("pipe lost", 1)]
    await child.lost()
    assert child.output == {1: b"out\n", 2: b"err\n"}
    assert transport.get_returncode() == 3
    transport.close()
    del loop.connect_read_pipe


async def test_an_error_in_what_is_replayed_is_reported(reports):
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(reports)
    connect = loop.connect_read_pipe

    async def slowly(factory, file):
        transport, protocol = await connect(factory, file)
        while not protocol.disconnected:
            await asyncio.sleep(0.001)
        return transport, protocol

    class Failing(Child):
        def pipe_data_received(self, fd, data):
            raise ZeroDivisionError

    loop.connect_read_pipe = slowly
    transport, child = await start("echo", "hello", protocol=Failing, stdin=None, stderr=None)
    await child.lost()
    transport.close()
    del loop.connect_read_pipe
    assert [type(exc) for exc in reports.exceptions] == [ZeroDivisionError]
    assert "pipe_data_received" in reports.messages[0]


async def test_data_takes_no_turn_of_its_own():
    transport, child = await start("cat")
    turns = []
    loop = asyncio.get_running_loop()
    received = child.pipe_data_received

    def receive(fd, data):
        turns.append(len(loop._ready))
        received(fd, data)

    child.pipe_data_received = receive
    transport.get_pipe_transport(0).write(b"hello")
    await child.until_event(("data", 1))
    assert turns == [0]
    transport.close()
    await child.lost()


variable = contextvars.ContextVar("variable", default="unset")


async def test_every_callback_has_the_context_of_the_creation(way):
    seen = {}

    class Looking(Child):
        def note(self, *event):
            seen[event[0]] = variable.get()
            super().note(*event)

    variable.set("mine")
    transport, child = await start("echo", "hello", protocol=Looking, stdin=None)
    variable.set("changed")
    await child.lost()
    assert seen == dict.fromkeys(("made", "data", "pipe lost", "exited", "lost"), "mine")
    transport.close()


# -- creation that fails -------------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", range(12))
async def test_a_creation_cancelled_at_any_moment(turns, way):
    before, others = open_descriptors(), child_processes()
    protocols = []

    def factory():
        protocols.append(Child())
        return protocols[0]

    creation = asyncio.create_task(start("cat", protocol=factory))
    for _ in range(turns):
        await asyncio.sleep(0)
    creation.cancel()
    try:
        transport, _ = await creation
    except asyncio.CancelledError:
        pass
    else:
        transport.close()
    if protocols and protocols[0].events:  # connection_made was called: so is everything else
        await protocols[0].lost()
        assert protocols[0].events[0] == "made"
        assert {("pipe lost", 0), ("pipe lost", 1), ("pipe lost", 2), "exited"} < set(protocols[0].events)
    assert child_processes() == others
    assert open_descriptors() == before


@pytest.mark.parametrize("failing", ["connect_write_pipe", "connect_read_pipe"])
async def test_a_pipe_that_cannot_be_connected(failing):
    loop = asyncio.get_running_loop()
    before = open_descriptors()

    async def fail(factory, file):
        raise ZeroDivisionError

    setattr(loop, failing, fail)
    with pytest.raises(ZeroDivisionError):
        await start("cat")
    delattr(loop, failing)
    assert open_descriptors() == before


async def test_a_factory_that_fails_starts_nothing():
    def factory():
        raise ZeroDivisionError

    others = child_processes()
    with pytest.raises(ZeroDivisionError):
        await start("cat", protocol=factory)
    assert child_processes() == others


# -- statuses that are lost ----------------------------------------------------------------------------------


@needs_pidfd
async def test_a_child_reaped_by_somebody_else(asyncio_log):
    transport, child = await start("sh", "-c", "exit 3", stdin=None)
    os.waitpid(transport.get_pid(), 0)
    await child.lost()
    assert transport.get_returncode() == 255
    (record,) = asyncio_log
    assert record.getMessage() == (
        f"child process pid {transport.get_pid()} exit status already read:  will report returncode 255"
    )
    transport.close()


@needs_pidfd
async def test_a_child_reaped_through_its_popen_object(asyncio_log):
    transport, child = await start("sh", "-c", "exit 3", stdin=None)
    assert transport.get_extra_info("subprocess").wait() == 3
    await child.lost()
    assert transport.get_returncode() == 3
    assert asyncio_log == []
    transport.close()


async def test_closing_a_child_that_has_just_ended(asyncio_log):
    transport, child = await start("sh", "-c", "exit 3", stdin=None)
    assert not wait_until_gone([transport.get_pid()], PATIENCE)
    transport.close()
    await child.lost()
    assert transport.get_returncode() == 3
    assert asyncio_log == []


# -- signals and closing -------------------------------------------------------------------------------------


async def test_an_ended_childs_number_is_not_signalled(monkeypatch):
    transport, child = await start("sh", "-c", "exec 3<&0; cat <&3 & exit 3", stderr=None)
    await child.until_event("exited")
    monkeypatch.setattr(transports, "os_kill", mock.Mock(side_effect=AssertionError))
    transport.kill()
    transports.os_kill.assert_not_called()
    transport.get_pipe_transport(0).close()
    await child.lost()
    transport.close()


async def test_a_child_that_vanishes_while_it_is_signalled(monkeypatch):
    transport, child = await start("cat")
    monkeypatch.setattr(transports, "os_kill", mock.Mock(side_effect=ProcessLookupError))
    transport.send_signal(signal.SIGUSR1)
    transports.os_kill.assert_called_once()
    transport.close()
    await child.lost()


async def test_closing_a_child_of_another_user(monkeypatch):
    transport, child = await start("cat")
    process = transport.get_extra_info("subprocess")
    monkeypatch.setattr(process, "kill", mock.Mock(side_effect=PermissionError))
    if sys.version_info >= (3, 13):
        transport.close()
    else:
        with pytest.raises(PermissionError):
            transport.close()
    await child.lost()  # its stdin was closed
    assert transport.get_returncode() in {0, -signal.SIGPIPE}


@needs_pidfd
def test_a_child_that_outlives_its_loop_is_killed_with_a_warning():
    loop = loopkit.Loop()
    transport, child = loop.run_until_complete(loop.subprocess_exec(Child, "cat"))
    process = transport.get_extra_info("subprocess")
    loop.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del transport, child
        collect()
    assert "unclosed transport <SubprocessTransport" in "\n".join(str(warning.message) for warning in caught)
    assert process.wait() == -signal.SIGKILL


async def test_repr():
    transport, child = await start("cat")
    pid = transport.get_pid()
    pipes = [transport.get_pipe_transport(fd) for fd in range(3)]
    shown = f"stdin={pipes[0]} stdout={pipes[1]} stderr={pipes[2]}"
    assert repr(transport) == f"<SubprocessTransport pid={pid} running {shown}>"
    assert repr(transport._pipes[1]) == f"<ReadPipeProtocol fd=1 pipe={pipes[1]!r}>"
    transport.close()
    await child.lost()
    assert repr(transport).startswith(f"<SubprocessTransport closed pid={pid} returncode=-9 stdin=")
