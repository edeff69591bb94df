"""One run in simulated time: what it costs, what it says when nothing can happen, what it leaves behind."""

import asyncio
import random
import subprocess
import sys
import threading
import time

import pytest

import loopkit
from loopkit.testing import (
    Deadlock,
    EscapedError,
    InvariantError,
    Livelock,
    SimLoop,
    always,
    choice,
    eventually,
    run,
    settle,
)


def test_an_hour_of_sleeping_passes_at_once():
    async def main():
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(3600)
        return loop.time() - before

    assert run(main) == 3600


def test_a_year_of_hourly_timers_ends():
    """Past 2^24 seconds a nanosecond more is the same number: a due timer must be due all the same."""

    async def main():
        for _ in range(24 * 366):
            await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run(main) > 2**24


def test_timers_fire_in_the_order_of_their_deadlines():
    async def main():
        loop, order = asyncio.get_running_loop(), []
        for delay in (3, 1, 2):
            loop.call_later(delay, order.append, delay)
        await asyncio.sleep(4)
        return order

    assert run(main) == [1, 2, 3]


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3, 4])
def test_a_timeout_ends_what_takes_too_long(seed):
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main, seed=seed, level="order") == pytest.approx(5, abs=1e-6)


# -- nothing can happen --------------------------------------------------------------------------------------


def test_a_deadlock_names_every_task_what_it_waits_for_who_holds_it_and_the_circle():
    async def main():
        left, right = asyncio.Lock(), asyncio.Lock()

        async def transfer(first, second):
            async with first:
                await asyncio.sleep(1)
                async with second:
                    pass

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(transfer(left, right), name="there")
            tasks.create_task(transfer(right, left), name="back")

    with pytest.raises(Deadlock) as caught:
        run(main)
    text = str(caught.value)
    assert "these 3 tasks, at 1 s" in text
    assert "waits for the tasks of TaskGroup tasks" in text
    assert "there at test_running.py" in text
    assert "waits for Lock second, held by back" in text
    assert "circle: there -> back -> there" in text or "circle: back -> there -> back" in text


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (lambda: asyncio.Event().wait(), "Event"),
        (lambda: asyncio.Queue().get(), "an item of Queue"),
        (lambda: asyncio.get_running_loop().create_future(), "a future that nobody has completed"),
        (lambda: asyncio.wait_for(asyncio.Event().wait(), None), "Event"),
    ],
)
def test_a_deadlock_says_what_is_waited_for(wait, words):
    async def main():
        await wait()

    with pytest.raises(Deadlock, match=words):
        run(main)


def test_a_deadlock_names_the_variable():
    async def main():
        class Pool:
            free = None

        pool = Pool()
        pool.free = asyncio.Semaphore(0)
        await pool.free.acquire()

    with pytest.raises(Deadlock, match=r"Semaphore pool\.free"):
        run(main)


@pytest.mark.timeout(120)  # in debug mode each of some 100,000 steps asks where it comes from
def test_who_never_waits_is_a_livelock():
    async def spin():
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Livelock, match="spin"):
        run(spin)


def test_a_task_that_refuses_to_end_does_not_keep_the_run_from_ending():
    async def stubborn():
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                pass

    async def main():
        asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        return "done"

    assert run(main) == "done"


# -- settle, always, eventually, choice ----------------------------------------------------------------------


def test_settle_waits_for_all_consequences_and_for_no_timer():
    async def main():
        done = []

        async def chain(n):
            for _ in range(n):
                await asyncio.sleep(0)
            done.append(n)
            await asyncio.sleep(1)
            done.append("late")

        task = asyncio.create_task(chain(50))
        await settle()
        before = list(done)
        await task
        return before, asyncio.get_running_loop().time()

    assert run(main) == ([50], 1.0)


def test_always_is_looked_at_after_every_step():
    async def main():
        value = [1]
        always(lambda: value[0] > 0, "value must stay positive")
        await asyncio.sleep(1)
        value[0] = -1
        await asyncio.sleep(0)
        value[0] = 1
        await asyncio.sleep(1)

    with pytest.raises(InvariantError, match="value must stay positive"):
        run(main)


@pytest.mark.parametrize("seed", [None, 1])
def test_debug_mode_runs_the_same_simulation(seed):
    async def main():
        asyncio.get_running_loop().set_debug(True)
        await asyncio.sleep(0)
        steps = []

        async def work(name):
            for number in range(5):
                steps.append((name, number))
                await asyncio.sleep(0)

        always(lambda: len(steps) < 7, "seven steps")
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(work(name))

    with pytest.raises(InvariantError, match="seven steps"):
        run(main, seed=seed)


def test_eventually_allows_for_a_time():
    async def main(after):
        value = []
        eventually(lambda: value, within=5, message="no value")
        await asyncio.sleep(after)
        value.append(1)
        await asyncio.sleep(10)

    run(lambda: main(4))
    with pytest.raises(InvariantError, match="no value"):
        run(lambda: main(6))


def test_choice_is_the_first_unless_it_is_explored():
    async def main():
        return [choice(3) for _ in range(20)]

    assert run(main) == [0] * 20
    assert len({tuple(run(main, seed=seed)) for seed in range(10)}) > 1
    assert run(main, seed=3) == run(main, seed=3)
    assert choice(3) == 0
    with pytest.raises(ValueError, match="not 0"):
        choice(0)


def test_outside_a_simulation_there_is_nothing_to_settle():
    with pytest.raises(RuntimeError, match="simulated run only"):
        loopkit.run(settle())


# -- the outside ---------------------------------------------------------------------------------------------


def test_a_function_for_a_thread_runs_at_a_moment_of_the_simulation():
    async def main():
        mine = threading.get_ident()
        assert await asyncio.to_thread(threading.get_ident) == mine
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)

        def runs_no_loop():
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            return 5

        return await asyncio.get_running_loop().run_in_executor(None, runs_no_loop)

    assert run(main) == 5
    assert run(main, seed=1) == 5


def test_time_sleep_takes_time_of_the_simulation():
    async def main():
        time.sleep(1000)
        return asyncio.get_running_loop().time()

    assert run(main) == 1000


@pytest.mark.parametrize(
    "escape",
    [
        lambda: threading.Thread(target=print, name="worker").start(),
        lambda: subprocess.Popen([sys.executable, "-c", ""]),
    ],
)
def test_what_would_run_in_real_time_says_so_and_the_way_out(escape):
    async def main():
        with pytest.raises(EscapedError, match="real time, beside the simulation"):
            escape()

    run(main)


def test_a_child_process_of_the_loop_says_so_too():
    async def main():
        with pytest.raises(EscapedError, match="real time"):
            await asyncio.create_subprocess_exec("true")
        with pytest.raises(EscapedError, match="real time"):
            await asyncio.create_subprocess_shell("true")

    run(main)


def test_a_real_descriptor_cannot_be_waited_for():
    async def main(fd):
        with pytest.raises(EscapedError, match=f"descriptor {fd} is a real one"):
            asyncio.get_running_loop().add_reader(fd, print)

    with open("/dev/null") as file:
        run(lambda: main(file.fileno()))


def test_the_global_random_is_seeded_and_given_back():
    async def main():
        return random.random()

    random.seed(1)
    expected = [random.random(), random.random()]
    random.seed(1)
    first = random.random()
    assert run(main, seed=1) == run(main, seed=1) != run(main, seed=2)
    assert [first, random.random()] == expected


def test_names_of_the_standard_library_are_given_back():
    before = time.sleep, threading.Thread.start, asyncio.Lock.acquire, asyncio.Semaphore.release
    run(lambda: asyncio.sleep(1))
    assert (time.sleep, threading.Thread.start, asyncio.Lock.acquire, asyncio.Semaphore.release) == before


# -- as a loop for others ------------------------------------------------------------------------------------


def test_it_is_a_loop_factory():
    with asyncio.Runner(loop_factory=SimLoop) as runner:
        runner.run(asyncio.sleep(1e6))
        assert runner.get_loop().time() == 1e6


def test_it_has_no_name_that_could_be_chosen():
    from loopkit.pollers import POLLERS

    SimLoop().close()
    assert "sim" not in POLLERS


def test_importing_loopkit_loads_nothing_of_it():
    code = "import sys, loopkit; assert not [n for n in sys.modules if n.startswith('loopkit.testing')]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_plugin_loads_nothing_but_itself():
    code = (
        "import sys, loopkit.testing.plugin;"
        "print(*[n for n in sys.modules if n.startswith('loopkit.testing.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["loopkit.testing.plugin"]
