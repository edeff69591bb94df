"""Stream transports: what is held, what is sent when, and in how many system calls."""

import asyncio
import contextlib
import contextvars
import errno
import gc
import random
import socket
import threading
import warnings
import weakref

import pytest

import loopkit
from loopkit.transports import stream
from tests.support.net import blocking, fill, read_all, read_exactly, unix_pair
from tests.support.protocols import BufferedRecorder, Recorder
from tests.support.pythons import NOT_BYTES, cpython_only


class Counting(socket.socket):
    """A real socket that notes what it is asked to send, and may be told to take no more, or to fail."""

    def __init__(self, sock):
        super().__init__(fileno=sock.detach())
        self.setblocking(False)
        self.sends = []
        self.asked = []  # how much each recv asked for
        self.room = None  # bytes it takes before it is full; None: as many as the kernel does
        self.error = None

    def _sending(self, parts):
        if self.error is not None:
            raise self.error
        if self.room is None:
            return parts
        data = b"".join(bytes(part) for part in parts)[: self.room]
        if not data:
            raise BlockingIOError(errno.EAGAIN, "full")
        self.room -= len(data)
        return [data]

    def recv(self, size, flags=0):
        self.asked.append(size)
        return super().recv(size, flags)

    def send(self, data, flags=0):
        self.sends.append(bytes(data))
        return super().send(b"".join(bytes(part) for part in self._sending([data])), flags)

    def sendmsg(self, parts, *args):
        parts = list(parts)
        self.sends.append(b"".join(map(bytes, parts)))
        return super().sendmsg(self._sending(parts), *args)


class Connection:
    """A transport on a counting socket, and the other end of it."""

    def __init__(self, transport, protocol, sock, peer):
        self.transport, self.protocol, self.sock, self.peer = transport, protocol, sock, peer

    @property
    def sends(self):
        return self.sock.sends

    def received(self):
        """What has arrived by now."""
        self.peer.setblocking(False)
        try:
            return self.peer.recv(1 << 20)
        except BlockingIOError:
            return b""


@pytest.fixture
def peers():
    with unix_pair() as (ours, theirs):
        yield ours, theirs


async def connected(peers, protocol=None):
    """As a server makes it from what it has accepted: nobody else has the socket."""
    ours, theirs = peers
    sock = Counting(ours)
    loop = asyncio.get_running_loop()
    protocol, begun = protocol or Recorder(), loop.create_future()
    transport = stream.StreamTransport(loop, sock, protocol, contextvars.copy_context(), None)
    protocol.connection_made(transport)
    transport._begin(begun)
    await begun
    return Connection(transport, protocol, sock, theirs)


async def end(connection):
    if not connection.transport.is_closing():
        connection.transport.abort()
    await connection.protocol.lost()
    await asyncio.sleep(0)


async def in_callback(function):
    """Call it as a callback of its own, and come back right after."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def call():
        try:
            done.set_result(function())
        except BaseException as exc:
            done.set_exception(exc)

    loop.call_soon(call)
    return await done


# -- held writes ---------------------------------------------------------------------------------------------


async def test_writes_of_one_callback_leave_together_when_it_returns(peers):
    here = await connected(peers)

    def write():
        for part in (b"one ", b"two ", b"three"):
            here.transport.write(part)
        assert here.sends == []

    await in_callback(write)
    assert here.sends == [b"one two three"]
    assert here.received() == b"one two three"
    await end(here)


async def test_one_write_is_sent_as_it_is(peers):
    here = await connected(peers)
    await in_callback(lambda: here.transport.write(b"one"))
    assert here.sends == [b"one"]
    await end(here)


async def test_a_step_of_a_task_is_a_callback_too(peers):
    here = await connected(peers)
    here.transport.write(b"header")
    here.transport.write(b"body")
    assert here.sends == []
    await asyncio.sleep(0)
    assert here.sends == [b"headerbody"]
    await end(here)


async def test_each_callback_sends_what_it_wrote(peers):
    here = await connected(peers)
    loop = asyncio.get_running_loop()
    loop.call_soon(here.transport.write, b"one")
    loop.call_soon(lambda: here.sends.append("the next callback"))
    loop.call_soon(here.transport.write, b"two")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert here.sends == [b"one", "the next callback", b"two"]
    await end(here)


@pytest.mark.parametrize("protocol", [Recorder, BufferedRecorder])
async def test_an_answer_from_data_received_leaves_in_one_piece(peers, protocol):
    class Answering(protocol):
        def note(self, *event):
            if event == ("data",):
                self.transport.write(b"header ")
                self.transport.write(b"body")
                assert self.transport._socket.sends == []
            super().note(*event)

    here = await connected(peers, Answering())
    here.peer.send(b"?")
    await here.protocol.received(1)
    assert here.sends == [b"header body"]
    await end(here)


async def test_an_answer_from_data_received_is_sent_though_it_fails(peers, reports):
    asyncio.get_running_loop().set_exception_handler(reports)

    class Failing(Recorder):
        def data_received(self, data):
            self.transport.write(b"answer")
            raise LookupError

    here = await connected(peers, Failing())
    here.peer.send(b"?")
    assert isinstance(await here.protocol.lost(), LookupError)
    assert await blocking(read_all, here.peer) == b"answer"
    assert reports.messages == ["Fatal error: protocol.data_received() call failed."]


async def test_a_write_to_another_connection_is_held_as_well(peers):
    with unix_pair() as others:
        here, there = await connected(peers), await connected(others)

        def write():
            for number in (b"1", b"2"):
                here.transport.write(number)
                there.transport.write(number)

        await in_callback(write)
        assert here.sends == there.sends == [b"12"]
        await end(here)
        await end(there)


async def test_what_is_held_does_not_count_as_buffered(peers):
    here = await connected(peers)
    here.transport.write(b"x" * 1000)
    assert here.transport.get_write_buffer_size() == 0
    await end(here)


async def test_large_writes_do_not_wait(peers):
    here = await connected(peers)
    here.transport.write(b"x" * (stream.HOLD + 1))
    assert [len(data) for data in here.sends] == [stream.HOLD + 1]
    await end(here)


async def test_a_large_write_sends_what_was_held_before_it(peers):
    here = await connected(peers)
    here.transport.write(b"head")
    here.transport.write(b"x" * stream.HOLD)
    assert here.sends == [b"head" + b"x" * stream.HOLD]
    await end(here)


@pytest.mark.parametrize("room", [0, 3, 10, stream.HOLD, stream.HOLD + 3])
async def test_what_a_full_socket_leaves_of_two_parts_goes_on_in_order(peers, room):
    here = await connected(peers)
    body = bytearray(b"0123456789abcdef" * (stream.HOLD // 16))
    here.sock.room = room
    here.transport.write(b"head")
    here.transport.write(body)
    expected = b"head" + bytes(body)
    body[:] = bytes(len(body))  # ours no more
    assert here.transport.get_write_buffer_size() == len(expected) - room
    here.sock.room = None
    got = b""
    while len(got) < len(expected):
        got += await asyncio.get_running_loop().run_in_executor(None, here.peer.recv, 65536)
    assert got == expected
    await end(here)


async def test_what_pause_writing_writes_comes_after_both_parts(peers):
    class Chatty(Recorder):
        def pause_writing(self):
            super().pause_writing()
            self.transport.write(b"tail")

    here = await connected(peers, Chatty())
    here.transport.set_write_buffer_limits(0)
    here.sock.room = 0
    here.transport.write(b"head")
    here.transport.write(bytearray(b"body"))
    here.sock.room = None
    while here.transport.get_write_buffer_size():
        await asyncio.sleep(0)
    assert here.peer.recv(100) == b"headbodytail"
    await end(here)


async def test_no_more_is_held_than_the_limit(peers):
    here = await connected(peers)
    for _ in range(20):
        here.transport.write(b"x" * 1024)
    assert [len(data) for data in here.sends] == [17 * 1024]
    await asyncio.sleep(0)
    assert [len(data) for data in here.sends] == [17 * 1024, 3 * 1024]
    await end(here)


async def test_however_many_pieces_leave_in_one_call(peers):
    here = await connected(peers)
    for _ in range(5000):
        here.transport.write(b"x")
    assert here.sends == []
    await asyncio.sleep(0)
    assert here.sends == [b"x" * 5000]
    await end(here)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
async def test_what_may_change_is_not_held(peers, kind):
    here = await connected(peers)
    data = bytearray(b"body")
    here.transport.write(b"head ")
    here.transport.write(kind(data))
    assert here.sends == [b"head body"]  # now, and together with what was held
    data[:] = b"XXXX"
    await asyncio.sleep(0)
    assert here.received() == b"head body"
    await end(here)


async def test_what_may_change_is_copied_when_it_has_to_wait(peers):
    here = await connected(peers)
    here.sock.room = 2
    data = bytearray(b"body")
    here.transport.write(data)
    data[:] = b"XXXX"
    here.sock.room = None
    assert await blocking(read_exactly, here.peer, 4) == b"body"
    await end(here)


async def test_bytes_that_have_to_wait_are_not_copied(peers):
    here = await connected(peers)
    here.sock.room = 0
    data = b"x" * 100_000
    here.transport.write(data)
    [waiting] = here.transport._backlog
    assert waiting is data
    here.sock.room = 10
    await asyncio.sleep(0.002)
    [waiting] = here.transport._backlog
    assert waiting.obj is data
    await end(here)


async def test_the_one_who_wrote_last_is_not_kept_alive(peers):
    async def write_and_pause():
        here = await connected(peers)
        here.transport.write(b"x")
        here.transport.pause_reading()
        here.protocol.transport = None
        return weakref.ref(here.transport)

    gone = await asyncio.create_task(write_and_pause())
    await asyncio.sleep(0.001)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # nobody has closed it
        gc.collect()
    assert gone() is None


async def test_however_much_resume_writing_has_to_say_after_close(peers):
    """asyncio loses its way when it does not fit."""

    class Source(Recorder):
        spoken = 0

        def resume_writing(self):
            super().resume_writing()
            if self.spoken < 3:
                self.spoken += 1
                self.transport.write(b"%d" % self.spoken * 500_000)

    here = await connected(peers, Source())
    here.transport.write(b"x" * 1_000_000)
    here.transport.close()
    data = await blocking(read_all, here.peer)
    assert data == b"x" * 1_000_000 + b"1" * 500_000 + b"2" * 500_000 + b"3" * 500_000
    await here.protocol.lost()


@pytest.mark.parametrize("end_of_program", [SystemExit, KeyboardInterrupt])
def test_all_that_is_held_is_sent_whoever_raises_meanwhile(new_loop, end_of_program):
    """Three full connections: each protocol ends the program when it is told to pause."""
    loop = new_loop()

    class Leaving(Recorder):
        def pause_writing(self):
            super().pause_writing()
            raise end_of_program

    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(unix_pair()) for _ in range(3)]
        here = [loop.run_until_complete(connected(pair, Leaving())) for pair in pairs]

        def write():
            for one in here:
                one.transport.set_write_buffer_limits(high=0)
                one.sock.room = 2
                one.transport.write(b"word")

        loop.call_soon(write)
        with pytest.raises(end_of_program):
            loop.run_forever()
        assert [one.protocol.events for one in here] == [["made", "pause"]] * 3
        assert [one.received() for one in here] == [b"wo"] * 3
        assert not loop.is_running()
        for one in here:
            one.sock.room = None
        loop.run_until_complete(asyncio.sleep(0.001))
        assert [one.received() for one in here] == [b"rd"] * 3
        for one in here:
            loop.run_until_complete(end(one))


# -- sent at once --------------------------------------------------------------------------------------------


@pytest.mark.loops("epoll", "poll", "select")
async def test_a_write_from_another_thread_is_sent_at_once(peers):
    """Not that asyncio allows it; but programs do it, and nobody would come to send it."""
    here = await connected(peers)
    loop = asyncio.get_running_loop()
    arrived = []

    def other():
        while not loop._idle:
            pass
        here.transport.write(b"from a thread")
        arrived.append(read_exactly(here.peer, 13))

    thread = threading.Thread(target=other)
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.01)
    thread.join()
    assert arrived == [b"from a thread"]
    await end(here)


def test_a_write_while_the_loop_does_not_run_is_sent_at_once(new_loop, peers):
    loop = new_loop()
    here = loop.run_until_complete(connected(peers))
    here.transport.write(b"one")
    here.transport.write(b"two")
    assert here.sends == [b"one", b"two"]
    loop.run_until_complete(end(here))


@pytest.mark.parametrize("end_of_program", [SystemExit, KeyboardInterrupt])
def test_what_is_held_is_sent_though_the_program_ends(new_loop, peers, end_of_program):
    loop = new_loop()
    here = loop.run_until_complete(connected(peers))

    def write_and_leave():
        here.transport.write(b"last words")
        raise end_of_program

    loop.call_soon(write_and_leave)
    with pytest.raises(end_of_program):
        loop.run_forever()
    assert here.received() == b"last words"
    loop.run_until_complete(end(here))


def test_what_is_held_is_sent_though_the_callback_stops_the_loop(new_loop, peers):
    loop = new_loop()
    here = loop.run_until_complete(connected(peers))
    loop.call_soon(lambda: (here.transport.write(b"last words"), loop.stop()))
    loop.run_forever()
    assert here.received() == b"last words"
    loop.run_until_complete(end(here))


# -- order ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
async def test_bytes_arrive_in_the_order_they_were_written(peers, seed):
    """Held, large, mutable, joined, waiting; from callbacks and data_received: every way there is."""
    choose = random.Random(seed)
    sent = bytearray()

    def write_some(transport):
        for _ in range(choose.randrange(4)):
            size = choose.choice([0, 1, 10, 1000, stream.HOLD, stream.HOLD + 1, 70_000])
            data = choose.randbytes(size)
            sent.extend(data)  # first: writing may pause the protocol, which writes in turn
            kind = choose.randrange(4)
            if kind == 0:
                transport.writelines([data[:5], bytearray(data[5:])])
            elif kind == 1:
                mutable = bytearray(data)
                transport.write(mutable)
                mutable[:] = bytes(len(mutable))
            elif kind == 2:
                transport.write(memoryview(data))
            else:
                transport.write(data)

    class Writing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            write_some(self.transport)

        def pause_writing(self):
            super().pause_writing()
            write_some(self.transport)

    here = await connected(peers, Writing())
    loop = asyncio.get_running_loop()
    reading = asyncio.ensure_future(blocking(read_all, here.peer))
    for _ in range(40):
        if choose.randrange(3) == 0:
            here.sock.room = choose.choice([0, 1, 5000, 60_000])
        else:
            here.sock.room = None
        if choose.randrange(2):
            loop.call_soon(write_some, here.transport)
        else:
            write_some(here.transport)
        await asyncio.sleep(0)
    here.sock.room = None
    here.transport.close()
    assert await reading == sent
    await here.protocol.lost()


@pytest.mark.parametrize("room", [0, 3, 5, 7])
async def test_a_socket_that_takes_a_part_gets_the_rest_later(peers, room):
    here = await connected(peers)
    here.sock.room = room

    def write():
        here.transport.write(b"first")
        here.transport.write(b"second")

    await in_callback(write)
    assert here.transport.get_write_buffer_size() == 11 - room
    here.transport.write(b" third")
    assert here.transport.get_write_buffer_size() == 17 - room
    here.sock.room = None
    assert await blocking(read_exactly, here.peer, 17) == b"firstsecond third"
    await end(here)


async def test_a_backlog_leaves_in_few_calls(peers):
    here = await connected(peers)
    here.sock.room = 0
    for _ in range(500):
        here.transport.write(b"x" * 100)
    await asyncio.sleep(0)
    assert here.transport.get_write_buffer_size() == 50_000
    here.sends.clear()
    here.sock.room = None
    assert len(await blocking(read_exactly, here.peer, 50_000)) == 50_000
    assert len([data for data in here.sends if data]) <= 2
    await end(here)


async def test_the_size_of_the_backlog_costs_nothing_to_know(peers):
    """One number, kept up to date; not a sum over what waits."""
    here = await connected(peers)
    here.sock.room = 0
    for number in range(200):
        here.transport.write(b"x" * number)
    await asyncio.sleep(0)
    assert here.transport.get_write_buffer_size() == sum(range(200)) == sum(map(len, here.transport._backlog))
    await end(here)


# -- ending with something held ------------------------------------------------------------------------------


async def test_close_sends_what_is_held(peers):
    here = await connected(peers)
    here.transport.write(b"bye")
    here.transport.close()
    assert here.sends == [b"bye"]
    await here.protocol.lost()
    assert await blocking(read_all, here.peer) == b"bye"


async def test_close_waits_for_what_the_kernel_did_not_take(peers):
    here = await connected(peers)
    here.sock.room = 1
    here.transport.write(b"bye")
    here.transport.close()
    await asyncio.sleep(0)
    assert "lost" not in here.protocol.events
    here.sock.room = None
    await here.protocol.lost()
    assert await blocking(read_all, here.peer) == b"bye"


async def test_abort_offers_what_is_held_and_drops_the_rest(peers):
    """asyncio would have sent it in write(); so much is owed. What did not fit is dropped, as it says."""
    here = await connected(peers)
    here.sock.room = 2
    here.transport.write(b"bye")
    here.transport.abort()
    await here.protocol.lost()
    assert await blocking(read_all, here.peer) == b"by"


async def test_write_eof_comes_after_what_is_held(peers):
    here = await connected(peers)
    here.transport.write(b"the last")
    here.transport.write_eof()
    assert here.sends == [b"the last"]
    assert await blocking(read_all, here.peer) == b"the last"
    with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
        here.transport.write(b"more")
    await end(here)


async def test_write_eof_waits_for_what_the_kernel_did_not_take(peers):
    here = await connected(peers)
    here.sock.room = 3
    here.transport.write(b"the last")
    here.transport.write_eof()
    here.sock.room = None
    assert await blocking(read_all, here.peer) == b"the last"
    await end(here)


# -- flow control --------------------------------------------------------------------------------------------


async def test_pausing_is_told_when_the_callback_returns(peers):
    here = await connected(peers)
    here.transport.set_write_buffer_limits(high=10)
    here.sock.room = 0

    def write():
        here.transport.write(b"x" * 11)
        assert "pause" not in here.protocol.events

    await in_callback(write)
    assert here.protocol.events[-1] == "pause"
    here.sock.room = None
    await here.protocol.until_event("resume")
    assert here.transport.get_write_buffer_size() <= 2
    await end(here)


async def test_limits_set_below_what_waits_pause_at_once(peers):
    here = await connected(peers)
    here.sock.room = 0
    here.transport.write(b"x" * 100)
    await asyncio.sleep(0)
    assert "pause" not in here.protocol.events
    here.transport.set_write_buffer_limits(high=50)
    assert here.protocol.events[-1] == "pause"
    await end(here)


async def test_a_protocol_that_resumes_by_writing_is_paused_again(peers):
    loop = asyncio.get_running_loop()

    class Pouring(Recorder):
        rounds = 0

        def pour(self):
            here.sock.room = 0  # so that all of it has to wait, however fast the peer reads
            loop.call_soon(setattr, here.sock, "room", None)
            self.transport.write(b"x" * 300_000)

        def resume_writing(self):
            super().resume_writing()
            self.rounds += 1
            if self.rounds < 4:
                self.pour()

    here = await connected(peers, Pouring())
    here.protocol.pour()
    assert len(await blocking(read_exactly, here.peer, 1_200_000)) == 1_200_000
    await here.protocol.until(lambda: here.protocol.rounds == 4)
    flow = [event for event in here.protocol.events if event in ("pause", "resume")]
    assert flow == ["pause", "resume"] * 4
    await end(here)


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [True, False])
async def test_an_error_of_send_ends_the_connection(peers, held, reports):
    asyncio.get_running_loop().set_exception_handler(reports)
    here = await connected(peers)
    here.sock.error = ConnectionResetError("gone")
    here.transport.write(b"small" if held else b"x" * 100_000)
    assert here.transport.is_closing() is not held
    assert await here.protocol.lost() is here.sock.error
    assert reports == []  # the network's errors are the protocol's business


@pytest.mark.parametrize("held", [True, False])
async def test_an_error_that_is_not_the_networks_is_reported(peers, held, reports):
    asyncio.get_running_loop().set_exception_handler(reports)
    here = await connected(peers)
    here.sock.error = LookupError("a bug")
    here.transport.write(b"small" if held else b"x" * 100_000)
    assert await here.protocol.lost() is here.sock.error
    assert reports.messages == ["Fatal write error on socket transport"]
    assert reports[0]["transport"] is here.transport
    assert reports[0]["protocol"] is here.protocol


async def test_an_error_while_the_backlog_is_sent_ends_the_connection(peers):
    here = await connected(peers)
    here.sock.room = 0
    here.transport.write(b"x")
    await asyncio.sleep(0)
    here.sock.error = ConnectionResetError("gone")
    assert await here.protocol.lost() is here.sock.error
    assert here.transport.get_write_buffer_size() == 0


async def test_an_error_of_a_late_shutdown_is_reported_and_reading_goes_on(peers, reports):
    asyncio.get_running_loop().set_exception_handler(reports)
    here = await connected(peers)

    def shutdown(how):
        raise OSError(errno.ENOTCONN, "reset meanwhile")

    here.sock.shutdown = shutdown
    here.sock.room = 0
    here.transport.write(b"x")
    await asyncio.sleep(0)
    here.transport.write_eof()
    here.sock.room = None
    while not reports:
        await asyncio.sleep(0)
    assert [exc.errno for exc in reports.exceptions] == [errno.ENOTCONN]
    assert not here.transport.is_closing()
    await end(here)


async def test_writes_after_the_end_are_ignored_and_at_last_warned_of(peers, asyncio_log):
    here = await connected(peers)
    here.transport.abort()
    for _ in range(4):
        here.transport.write(b"x")
    here.transport.write(b"")
    assert asyncio_log == []
    here.transport.write(b"x")
    assert [record.getMessage() for record in asyncio_log] == ["socket.send() raised exception."]
    await here.protocol.lost()
    await asyncio.sleep(0)
    here.transport.write(b"x")
    assert len(asyncio_log) == 2
    assert here.sends == []


async def test_what_is_no_bytes_is_refused_and_changes_nothing(peers):
    here = await connected(peers)
    here.transport.write(b"held")
    for data in ("text", 5, None, [b"x"]):
        with pytest.raises(TypeError, match=f"not '{type(data).__name__}'"):
            here.transport.write(data)
    with pytest.raises(TypeError, match=f"bytes-like object is required|{NOT_BYTES}"):
        here.transport.writelines([b"x", "text"])
    await asyncio.sleep(0)
    assert here.sends == [b"held"]
    await end(here)


# -- replaced methods ----------------------------------------------------------------------------------------


async def test_methods_can_be_replaced_on_an_instance(peers):
    """Test suites and proxies do it."""
    here = await connected(peers)
    written = []
    here.transport.write = written.append
    here.transport.write(b"x")
    here.transport.writelines([b"a", b"b"])
    assert written == [b"x", b"ab"]
    await end(here)


# -- reading -------------------------------------------------------------------------------------------------


@cpython_only("on PyPy each read takes as much as asyncio's")
async def test_bulk_is_read_in_larger_blocks_until_it_calms_down(peers):
    here = await connected(peers)
    here.transport.pause_reading()
    amount = await blocking(fill, here.peer)
    assert amount > 2 * stream.READ_SIZE
    here.transport.resume_reading()
    await here.protocol.received(amount)
    here.peer.setblocking(True)
    for _ in range(2):
        here.peer.send(b"calm")
        amount += 4
        await here.protocol.received(amount)
    asked = here.sock.asked
    assert asked[0] == asked[-1] == stream.READ_SIZE
    assert asked[1] == stream.BULK_READ_SIZE
    assert set(asked) == {stream.READ_SIZE, stream.BULK_READ_SIZE}
    await end(here)


async def test_a_flood_on_one_connection_leaves_the_others_their_turn(peers):
    """Each event reads one block, so that the quiet one is heard before the flood has ended."""
    with unix_pair() as others:
        flooded, quiet = await connected(peers), await connected(others)
        flooded.transport.pause_reading()
        await blocking(fill, flooded.peer)
        order = []
        flooded.protocol.data_received = lambda data: order.append(("flood", len(data)))
        quiet.protocol.data_received = lambda data: order.append(("quiet", len(data)))
        quiet.peer.send(b"x")
        flooded.transport.resume_reading()
        while ("quiet", 1) not in order:
            await asyncio.sleep(0)
        before = order[: order.index(("quiet", 1))]
        assert len(before) <= 1
        assert all(size <= stream.BULK_READ_SIZE for _, size in order)
        await end(flooded)
        await end(quiet)


async def test_the_kind_of_protocol_is_chosen_anew_by_set_protocol(peers):
    here = await connected(peers)
    buffered, plain = BufferedRecorder(), Recorder()
    here.peer.send(b"one")
    await here.protocol.received(3)
    here.transport.set_protocol(buffered)
    assert here.transport.get_protocol() is buffered
    here.peer.send(b"two")
    assert await buffered.received(3) == b"two"
    here.transport.set_protocol(plain)
    here.peer.send(b"three")
    assert await plain.received(5) == b"three"
    here.transport.abort()
    assert await plain.lost() is None


async def test_a_protocol_replaced_while_it_receives_is_the_last_time_called(peers):
    successor = BufferedRecorder()

    class Handing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.set_protocol(successor)
            self.transport.write(b"switched")

    here = await connected(peers, Handing())
    here.peer.send(b"one")
    await here.protocol.received(3)
    here.peer.send(b"two")
    assert await successor.received(3) == b"two"
    assert here.received() == b"switched"
    assert bytes(here.protocol.data) == b"one"
    here.transport.abort()
    await successor.lost()


@pytest.mark.parametrize("case", ["empty", "raises"])
async def test_a_bad_buffer_ends_the_connection(peers, case, reports):
    asyncio.get_running_loop().set_exception_handler(reports)

    class Bad(BufferedRecorder):
        def get_buffer(self, sizehint):
            assert sizehint == -1
            if case == "empty":
                return bytearray()
            raise LookupError

    here = await connected(peers, Bad())
    here.peer.send(b"x")
    error = await here.protocol.lost()
    assert type(error) is (RuntimeError if case == "empty" else LookupError)
    assert reports.messages == ["Fatal error: protocol.get_buffer() call failed."]


async def test_a_buffered_protocol_that_fails_ends_the_connection(peers, reports):
    asyncio.get_running_loop().set_exception_handler(reports)

    class Bad(BufferedRecorder):
        def buffer_updated(self, nbytes):
            raise LookupError

    here = await connected(peers, Bad())
    here.peer.send(b"x")
    assert isinstance(await here.protocol.lost(), LookupError)
    assert reports.messages == ["Fatal error: protocol.buffer_updated() call failed."]


# -- what asyncio's helpers look for -------------------------------------------------------------------------


async def test_it_is_an_asyncio_transport(peers):
    here = await connected(peers)
    assert isinstance(here.transport, asyncio.Transport)
    assert here.transport.can_write_eof() is True
    assert here.transport._start_tls_compatible is True
    await end(here)


def test_a_connection_that_the_poller_cannot_watch_is_refused_and_closed(peers):
    """As select does with numbers above its limit. Whoever waits for the connection is told."""
    loop = loopkit.SelectLoop()
    poller = loop._watches.poller

    class Refusing:
        def __getattr__(self, name):
            if name == "register":
                raise ValueError("its limit is 1023")
            return getattr(poller, name)

    async def main():
        loop._watches.poller = Refusing()
        with pytest.raises(ValueError, match="its limit is 1023"):
            await loop.connect_accepted_socket(Recorder, peers[0])
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert peers[0].fileno() == -1
    loop.close()
