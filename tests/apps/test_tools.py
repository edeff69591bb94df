"""Do the tools that watch event loops see what they should on loopkit, and nothing else?"""

import pytest

from tests.apps.running import ON_LOOPKIT, needs, output_of, proof


@pytest.fixture
def keys(certificates):
    return [certificates.authority, certificates.chain, certificates.key]


# What `everything.do_everything` has done when it is done.
EVERYTHING = "12"


@needs("blockbuster")
def test_blockbuster_finds_no_blocking_call_of_ours(keys):
    assert output_of("tool_blockbuster.py", *keys) == ["Blocking call to time.sleep", EVERYTHING, proof()]


@needs("aiocop")
def test_aiocop_reports_what_blocks_and_no_more_than_on_asyncio(keys):
    (on_asyncio, *_), (on_loopkit, *others) = (
        output_of(*way, "tool_aiocop.py", *keys) for way in ([], ON_LOOPKIT)
    )
    # It names calls like bind() that do not wait, whoever makes them; and those of an import: see late.py.
    allowed = {*on_asyncio.split(), "os.listdir"}
    assert set(on_loopkit.split()) <= allowed
    assert others == ["a task's work: time.sleep", proof()]


@needs("pyleak")
def test_pyleak_tells_of_leaks_and_blocking(keys):
    said = output_of("tool_pyleak.py", *keys)
    assert said == [EVERYTHING, "task: ['left']", "blocked", "thread", proof()]


@needs("aiodebug")
@pytest.mark.parametrize("when", ["early", "late"])
def test_aiodebug_names_slow_callbacks(when):
    said = output_of("tool_aiodebug.py", when)
    assert said == ["slow() True", "'a task' True", "on_readable() True", proof()]


@needs("aiomonitor")
def test_aiomonitor_shows_and_cancels_tasks():
    *said, last = output_of(*ON_LOOPKIT, "tool_aiomonitor.py")
    assert said == ["patient() PENDING", "cancelled"]
    assert last == proof()


@needs("aiofastnet")
def test_aiofastnet_runs_on_top(keys):
    assert output_of("on_aiofastnet.py", *keys) == ["aiofastnet", EVERYTHING, proof()]
