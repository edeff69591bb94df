"""fork(2) in a process whose threads make loops meanwhile."""

import asyncio
import os

import pytest

import loopkit
from loopkit import fork
from tests.support.interleaving import between_lines_of, in_a_thread
from tests.support.net import PATIENCE, listener
from tests.support.protocols import Recorder

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def others():
    """Loops that other threads made."""
    made = []
    yield made
    for loop in made:
        loop.close()


async def test_what_is_held_is_sent_before_a_fork_while_other_threads_make_loops(others):
    loop = asyncio.get_running_loop()
    with listener() as server:
        transport, _ = await loop.create_connection(Recorder, *server.getsockname())
        peer, _ = server.accept()
    with peer:
        peer.setblocking(False)
        transport.write(b"held")
        with pytest.raises(BlockingIOError):
            peer.recv(100)
        with between_lines_of(
            fork.before, act=lambda: in_a_thread(lambda: others.append(loopkit.Loop()))
        ) as between:
            pid = os.fork()
            if not pid:
                os._exit(0)
        os.waitpid(pid, 0)
        assert between.lines == len(others) > 0
        assert peer.recv(100) == b"held"
        transport.close()


async def test_what_a_child_writes_before_it_exits_is_sent():
    """The callback in progress never returns there: what it held would be lost."""
    loop = asyncio.get_running_loop()
    with listener() as server:
        transport, _ = await loop.create_connection(Recorder, *server.getsockname())
        peer, _ = server.accept()
    with peer:
        pid = os.fork()
        if not pid:
            transport.write(b"from the child")
            os._exit(0)
        os.waitpid(pid, 0)
        peer.settimeout(PATIENCE)
        assert peer.recv(100) == b"from the child"
        transport.close()
