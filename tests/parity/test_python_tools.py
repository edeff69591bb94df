"""Python's own tools for programs that run: do they see on every loop what they see on asyncio's?

`python -m asyncio ps` and `pstree`, `sys.remote_exec` (3.14), the sampling profiler (3.15). They read another
process's memory, which a system may forbid: whether it does is told by the attempt.
"""

import itertools
import re
import subprocess
import sys

import pytest

from tests.support.programs import LIMIT, start_program

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 14) or sys.implementation.name != "cpython",
    reason="Python's tools for programs that run are new in CPython 3.14",
)
SINCE_3_15 = pytest.mark.skipif(sys.version_info < (3, 15), reason="the sampling profiler is new in 3.15")

# Three tasks, each of which waits for the next. "up" comes in the turn after that in which the last began.
CODE = """
async def leaf():
    asyncio.get_running_loop().call_soon(print, "up")
    {leaf}
async def branch():
    async with asyncio.TaskGroup() as group:
        group.create_task(leaf(), name="the leaf")
async def main():
    await asyncio.create_task(branch(), name="the branch")
with asyncio.Runner(loop_factory=new_loop) as runner:
    runner.run(main())
"""
SLEEPS = CODE.format(leaf="await asyncio.Event().wait()")
WORKS = CODE.format(
    leaf="\n    ".join(["while True:", "    sum(range(20_000))", "    await asyncio.sleep(0)"])
)

sleeping = pytest.mark.parametrize("program", [SLEEPS], ids=["sleeping"], indirect=True)
working = pytest.mark.parametrize("program", [WORKS], ids=["working"], indirect=True)


@pytest.fixture
def program(request, loop_name):
    """A program that is up, until the test is over."""
    with start_program(loop_name, request.param) as process:
        assert process.stdout.readline() == "up\n", process.stderr.read()
        try:
            yield process
        finally:
            process.kill()


def look(*words: object) -> str:
    """What Python's tool says; the test is skipped where the system lets nobody look."""
    command = [sys.executable, "-m", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    said = done.stdout + done.stderr
    if done.returncode and (refused := re.search(r".*([Pp]ermission denied|not permitted).*", said)):
        pytest.skip(f"this system lets no process read another one's memory: {refused[0].strip()}")
    assert done.returncode == 0, said
    return done.stdout


@sleeping
def test_ps_lists_every_task_with_who_awaits_it(program):
    header, _, *lines = look("asyncio", "ps", program.pid).splitlines()
    starts = [header.index(title) for title in ("task name", "coroutine stack", "awaiter chain")]
    awaiter = slice(header.index("awaiter name"), header.index("awaiter id"))
    found = {}
    for line in lines:
        name, stack = (line[a:b].strip() for a, b in itertools.pairwise(starts))
        found[name] = (stack.rpartition(" -> ")[2], line[awaiter].strip())
    assert found == {
        "Task-1": ("main", ""),
        "the branch": ("branch", "Task-1"),
        "the leaf": ("leaf", "the branch"),
    }


@sleeping
def test_pstree_draws_who_awaits_whom(program):
    lines = look("asyncio", "pstree", program.pid).splitlines()
    drawn = [line.partition("(T)") for line in lines if "(T)" in line]
    assert [task.strip() for _, _, task in drawn] == ["Task-1", "the branch", "the leaf"]
    depths = [len(before) for before, _, _ in drawn]
    assert depths == sorted(set(depths))
    assert "Event.wait" in lines[-1]


@SINCE_3_15
@sleeping
def test_the_sampling_profiler_dumps_the_stack_through_the_tasks(program):
    said = look("profiling.sampling", "dump", "--async-aware", program.pid)
    where = re.findall(r"in (Task-1|main|the branch|branch|the leaf|leaf|Event\.wait)$", said, re.MULTILINE)
    assert where == ["Task-1", "main", "the branch", "branch", "the leaf", "leaf", "Event.wait"]


@SINCE_3_15
@working
def test_the_sampling_profiler_ascribes_time_to_tasks(program, tmp_path):
    file = tmp_path / "collapsed.txt"
    options = ["--async-aware", "--collapsed", "-d", "1", "-o", file]
    look("profiling.sampling", "attach", *options, program.pid)
    stacks = file.read_text().splitlines()
    wanted = re.compile(r"<task>:Task-1.*:main:.*<task>:the branch.*:branch:.*<task>:the leaf.*:leaf:")
    assert any(wanted.search(stack) for stack in stacks), stacks


@working
def test_what_another_process_lets_it_run_finds_the_loop_running(program, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio\n"
        "loop = asyncio.get_running_loop()\n"
        "names = sorted(task.get_name() for task in asyncio.all_tasks())\n"
        "print('running', loop.is_running(), names)\n"
        "loop.call_soon_threadsafe(print, 'called')\n"
    )
    try:
        sys.remote_exec(program.pid, str(script))
    except PermissionError as error:
        pytest.skip(f"this system lets no process write to another one's memory: {error}")
    assert program.stdout.readline() == "running True ['Task-1', 'the branch', 'the leaf']\n"
    assert program.stdout.readline() == "called\n"
