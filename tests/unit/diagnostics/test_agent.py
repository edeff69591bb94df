"""The agent and the commands that ask it: who may, what is told, and is the program left in peace?"""

import asyncio
import concurrent.futures
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

import loopkit
from loopkit.cli import attach
from loopkit.cli.options import UsageError
from loopkit.diagnostics import agent
from loopkit.diagnostics.census import census
from tests.cli.commands import SOURCE, environment, python, run_loopkit
from tests.support.net import unix_pair
from tests.support.processes import wait_until_gone
from tests.support.pythons import PYPY


@pytest.fixture(autouse=True)
def _own_directory(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def listening():
    yield agent.start()
    agent.stop()


def ask(path, data):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(path)
        sock.sendall(data)
        return json.loads(b"".join(iter(lambda: sock.recv(65536), b"")))


PROGRAM = """
import asyncio, sys, time
async def handle(reader, writer):
    await reader.read(1)
async def waits(lock):
    async with lock:
        await asyncio.sleep(1000)
async def limited():
    async with asyncio.timeout(500):
        await asyncio.get_running_loop().create_future()
def stuck():
    while True:
        time.sleep(0.01)
async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    lock = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(reader.read(1), name="reading")
        group.create_task(waits(lock), name="sleeping")
        group.create_task(waits(lock), name="locked")
        group.create_task(limited(), name="limited")
        await asyncio.sleep(0.1)
        print("up", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        stuck()
asyncio.run(main())
"""


MANY = """
import asyncio
async def many():
    await asyncio.get_running_loop().create_future()
async def main():
    tasks = [asyncio.create_task(many()) for _ in range(40)]
    await asyncio.sleep(0)
    print("up", flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
"""


@pytest.fixture
def program():
    """A program with an agent; it gets stuck when it is told to."""
    with started(PROGRAM) as process:
        yield process


@pytest.fixture
def program_of_many():
    with started(MANY) as process:
        yield process


@contextlib.contextmanager
def started(text):
    with subprocess.Popen(
        [sys.executable, "-m", "loopkit", "--agent", "-c", text],
        env=environment(PYTHONPATH=str(SOURCE), XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


def command(verb, process, *words):
    return run_loopkit(verb, str(process.pid), *words, XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])


def test_ps_says_what_each_task_waits_for(program):
    code, out, err = command("ps", program)
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith("  ")}
    assert "reading fd " in lines["reading"]
    assert " of 127.0.0.1:" in lines["reading"]
    assert "timer in 99" in lines["sleeping"]
    assert PYPY or "Lock.acquire, held by sleeping  (" in lines["locked"]
    assert "timeout in 49" in lines["limited"]
    assert "Task-1" in lines["sleeping"]
    rows = json.loads(command("ps", program, "--json").out)["loops"][0]["tasks"]
    assert next(row for row in rows if row["name"] == "Task-1")["waits"] == "a call in an executor"


def test_fds_are_the_kernel_s(program):
    code, out, _ = command("fds", program)
    assert code == 0
    assert "connection of StreamReaderProtocol" in out
    assert "descriptors that no loop knows" in out
    loop = json.loads(command("fds", program, "--json").out)["loops"][0]
    told = {row["fd"] for row in loop["fds"]}
    kernel = {int(name) for name in os.listdir(f"/proc/{program.pid}/fd")}
    # One more while it answers: the connection to the one who asks.
    assert kernel <= told
    assert len(told - kernel) <= 1
    assert [row["kind"] for row in loop["fds"] if row["owner"] == "the agent"] == ["loop", "loop"]
    owners = {row["fd"]: row["kind"] for row in loop["fds"]}
    assert loop["count"] == sum(kind != "unknown" for kind in owners.values())


def test_tasks_that_are_alike_are_told_in_one_row(program_of_many):
    lines = command("ps", program_of_many).out.splitlines()
    assert "loop 1: epoll in MainThread, asleep in its poll, 41 tasks" in "\n".join(lines)
    (many,) = [line for line in lines if "and 39 more" in line]
    assert re.match(r"  Task-2 and 39 more  waiting  many +- +a future  \(.*<string>:\d+\)", many), many
    each = command("ps", program_of_many, "--all").out
    assert len(re.findall(r"^  Task-\d+ +waiting  many ", each, re.MULTILINE)) == 40
    assert command("ps", program_of_many, "--all=1").err == "loopkit: --all takes no value, not '1'\n"


def test_top_says_how_busy_and_with_what(program):
    code, out, _ = command("top", program, "--once", "--interval", "0.3")
    assert code == 0
    assert "% busy; " in out
    assert "FUNCTION" in out
    assert "RECEIVED" in out


def test_dump_works_while_the_loop_is_stuck(program):
    program.stdin.write("\n")
    program.stdin.flush()
    for _ in range(100):
        code, out, _ = command("dump", program)
        assert code == 0
        if "in stuck" in out:
            break
    assert "at work" in out
    assert "in task 'Task-1' running main" in out
    assert "    time.sleep(0.01)" in out or "in stuck" in out
    assert "thread MainThread" in out
    assert "thread loopkit-agent" not in out


def test_a_recording_is_fetched_only_from_who_has_one(program, tmp_path):
    code, _, err = command("dump", program, "--record", str(tmp_path / "r.html"))
    assert code == 2
    assert re.match(r"loopkit: process \d+: no loop of this process has a flight recorder", err)


def test_what_cannot_be_asked_is_one_line(tmp_path):
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    words = {
        "ps": "ps needs the number of a process",
        "top x": "top needs the number of a process",
        "fds 1 2": "fds needs the number of a process",
        "dump -5": "unknown option '-5'",
        f"ps {gone.stdout.strip()}": "there is no process",
        "top 1 --interval 0": "--interval needs seconds",
        "ps --nonsense 1": "unknown option '--nonsense'",
        "dump 1 --record": "--record needs a value",
    }
    for line, said in words.items():
        code, out, err = run_loopkit(*line.split())
        assert (code, out) == (2, ""), line
        assert said in err
        assert err.count("\n") == 1


@pytest.mark.parametrize("verb", ["ps", "top", "fds", "dump"])
def test_a_stopped_process_is_told_at_once(program, verb):
    program.send_signal(signal.SIGSTOP)
    os.waitpid(program.pid, os.WUNTRACED)  # until it has stopped
    said = f"process {program.pid} is stopped and cannot answer: kill -CONT {program.pid} lets it go on"
    assert command(verb, program) == (2, "", f"loopkit: {said}\n")


@pytest.fixture
def silent():
    """What takes connections in this process's name, and never answers."""
    path = os.path.join(os.environ["XDG_RUNTIME_DIR"], "loopkit", f"{os.getpid()}.sock")
    os.mkdir(os.path.dirname(path), mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        yield listener


def test_a_process_that_does_not_answer_is_given_up(silent, monkeypatch):
    monkeypatch.setattr(attach, "ANSWER", 0.01)
    with pytest.raises(UsageError, match="does not answer: a C call may keep"):
        attach.ask(os.getpid(), "ps")


def test_ctrl_c_ends_the_one_who_asks_without_a_word(silent):
    with subprocess.Popen(
        [sys.executable, "-m", "loopkit", "ps", str(os.getpid())],
        env=environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"]),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        with silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == -signal.SIGINT


def test_a_process_that_has_ended_is_told():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        assert wait_until_gone([process.pid], 20) == []
        ended = run_loopkit("ps", str(process.pid))
    said = f"process {process.pid} has ended; its parent has not asked for its exit code yet"
    assert ended == (2, "", f"loopkit: {said}\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("verb", ["ps", "top", "fds", "dump"])
def test_a_process_of_another_user_is_one_line(program, verb):
    code = f"""
import os, sys
import loopkit.cli.{verb}, loopkit.diagnostics.agent  # the other user may not read this folder
os.setgid(65534)
os.setuid(65534)
sys.exit(loopkit.cli.main(["{verb}", "{program.pid}"]))
"""
    said = f"process {program.pid} belongs to another user (uid 0): only that one and root may look"
    assert python("-c", code) == (2, "", f"loopkit: {said}\n")


@pytest.mark.parametrize("closed", ["| true", "| head -1", ">&-", "<&-"])
@pytest.mark.parametrize("verb", ["ps", "top", "fds", "dump"])
def test_who_does_not_read_on_gets_no_traceback(program, verb, closed):
    line = f"{sys.executable} -m loopkit {verb} {program.pid} {closed}"
    runtime = os.environ["XDG_RUNTIME_DIR"]
    words = ["/bin/sh", "-c", line]
    ended = subprocess.run(words, capture_output=True, text=True, env=environment(XDG_RUNTIME_DIR=runtime))
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="from 3.14 on it can be asked to open one")
def test_a_process_without_agent_is_told_with_the_way_out():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        code, _, err = run_loopkit("ps", str(process.pid))
        process.stdin.close()
    assert code == 2
    said = (
        f"loopkit: process {process.pid} has no agent: start it with loopkit --agent, or with LOOPKIT_AGENT=1"
    )
    assert err == f"{said}\n"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="sys.remote_exec is new in 3.14")
def test_a_program_that_was_not_prepared_can_be_asked():
    code = """
import asyncio, loopkit
async def main():
    print("up", flush=True)
    while True:
        await asyncio.sleep(0.01)
loopkit.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=str(SOURCE), XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"]),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        ended = command("ps", process)
        process.kill()
    if "does not let you look" in ended.err:
        pytest.skip("this system forbids it")
    assert ended.code == 0, ended.err
    assert "timer in 0.0 s" in ended.out


# -- security ------------------------------------------------------------------------------------------------


def test_the_socket_is_the_user_s_alone(listening):
    assert os.stat(listening).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(listening)).st_mode & 0o777 == 0o700


def test_another_user_is_refused(listening, monkeypatch):
    monkeypatch.setattr(agent.os, "geteuid", lambda: 12345)
    monkeypatch.setattr(agent.struct, "unpack", lambda *args: (1, 54321, 54321))
    assert ask(listening, b'{"verb": "ps"}\n')["error"] == "this process answers its own user only"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_cannot_even_connect(listening):
    code = f"""
import os, socket
os.setgid(65534); os.setuid(65534)
try:
    socket.socket(socket.AF_UNIX).connect({listening!r})
except PermissionError:
    print("refused")
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "refused\n"


def test_a_directory_that_others_can_enter_is_not_used(tmp_path):
    (tmp_path / "run" / "loopkit").mkdir()
    os.chmod(tmp_path / "run" / "loopkit", 0o755)
    with pytest.raises(OSError, match=r"is not a directory of this user's alone \(it should be 0700\)"):
        agent.start()


def test_ten_thousand_bad_requests_disturb_nothing(listening):
    """In one process: each is answered with an error, or not at all, and the next one is served."""
    rng = random.Random(7)
    good = b'{"verb": "metrics"}\n'
    for number in range(10_000):
        if number % 2000 == 0:
            assert ask(listening, good)["version"] == 1
        kind = number % 5
        data = {
            0: rng.randbytes(rng.randrange(1, 200)).replace(b"\n", b"") + b"\n",
            1: b"\n",
            2: json.dumps(rng.choice([None, 1, [], {}, {"verb": 1}, {"verb": []}, "x"])).encode() + b"\n",
            3: b"[" * rng.randrange(1, 4000) + b"\n",
            4: good[: rng.randrange(len(good) - 1)],
        }[kind]
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(listening)
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                answer = sock.recv(4096)
            except (BrokenPipeError, ConnectionResetError):
                continue
            assert not answer or "error" in json.loads(answer), data
    assert ask(listening, good)["version"] == 1


def test_a_request_that_is_too_long_is_refused(listening):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(listening)
        sock.sendall(b"x" * 9000)
        assert "a request has 4096 bytes at most" in json.loads(sock.recv(4096))["error"]


def test_an_answer_is_never_longer_than_it_may_be(monkeypatch):
    monkeypatch.setattr(agent, "LONGEST_ANSWER", 2000)
    data = agent.packed({"loops": [{"tasks": [{"name": "x" * 50}] * 1000}]})
    assert len(data) <= 2000
    assert json.loads(data)["cut"]
    assert "longer than" in json.loads(agent.packed({"text": "x" * 5000}))["error"]


@pytest.mark.leaks("threads", reason="a child made by fork inherits what the test has")
def test_a_forked_child_leaves_the_parent_s_socket_alone(listening):
    pid = os.fork()
    if pid == 0:
        closed = agent._agent.listener.fileno() < 0
        agent.stop()
        os._exit(0 if closed else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.path.exists(listening)
    assert ask(listening, b'{"verb": "metrics"}\n')["pid"] == os.getpid()


def test_loops_that_are_made_at_once_in_threads_share_one_socket(monkeypatch):
    """Each thread stops where the socket is about to be made: without a lock, all of them would make one."""
    made = []

    class Slow(agent.Agent):
        def __init__(self):
            made.append(self)
            for _ in range(100):
                os.sched_yield()
            super().__init__()

    monkeypatch.setattr(agent, "Agent", Slow)
    together = threading.Barrier(8)
    paths = []

    def make():
        together.wait()
        paths.append(agent.start())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert paths == [made[0].path] * 8
    assert ask(paths[0], b'{"verb": "metrics"}\n')["pid"] == os.getpid()
    agent.stop()
    assert not os.path.exists(paths[0])


@pytest.mark.leaks("threads", reason="a child made by fork inherits what the test has")
def test_a_fork_while_another_thread_opens_the_socket_can_open_its_own(monkeypatch):
    opening, forked = threading.Event(), threading.Event()

    class Slow(agent.Agent):
        def __init__(self):
            opening.set()
            forked.wait(0.2)  # the fork waits for us; without that it would find the lock held for ever
            super().__init__()

    monkeypatch.setattr(agent, "Agent", Slow)
    thread = threading.Thread(target=agent.start)
    thread.start()
    opening.wait()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if agent.start().endswith(f"/{os.getpid()}.sock") else 1)
    forked.set()
    assert os.waitpid(pid, 0)[1] == 0
    thread.join()
    agent.stop()


# -- what is told --------------------------------------------------------------------------------------------


async def test_the_census_knows_what_sock_recv_and_futures_stand_for():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, peer):
        peer.setblocking(False)

        async def receiving():
            await loop.sock_recv(ours, 1)

        async def gathering(task):
            await asyncio.gather(asyncio.shield(task), return_exceptions=True)

        receiver = loop.create_task(receiving(), name="receiver")
        gatherer = loop.create_task(gathering(receiver), name="gatherer")
        await asyncio.sleep(0.01)
        rows = {row["name"]: row for row in census(loop)}
        assert rows["receiver"]["waits"].startswith(f"reading fd {ours.fileno()}")
        assert rows["receiver"]["state"] == "waiting"
        assert "gatherer" in rows["receiver"]["awaited_by"]
        assert rows["gatherer"]["waits"] == "gather, of which 1 are not done"
        assert any(row["state"] == "running" for row in rows.values())
        peer.send(b"x")
        await gatherer


async def test_the_census_knows_who_holds_a_lock():
    lock, semaphore, condition = asyncio.Lock(), asyncio.Semaphore(2), asyncio.Condition()
    never = asyncio.get_running_loop().create_future()

    async def holds(first, *more):
        async with first:
            await (holds(*more) if more else never)

    async def takes(lock):
        await lock.acquire()
        await never

    async def waits_for(condition):
        async with condition:
            await condition.wait()

    wanted = {
        "both": holds(lock, semaphore),
        "one": holds(semaphore),
        "condition": waits_for(condition),
        "within": holds(condition),
        "lock": takes(lock),
        "entering": holds(semaphore),
        "notified": waits_for(condition),
    }
    tasks = [asyncio.create_task(coro, name=name) for name, coro in wanted.items()]
    await asyncio.sleep(0)
    rows = {row["name"]: row["waits"] for row in census(asyncio.get_running_loop())}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert rows["both"] == rows["within"] == "a future"
    if PYPY:
        return
    assert rows["lock"] == "Lock.acquire, held by both"
    assert rows["entering"] == "Semaphore.acquire, held by both, one"
    assert rows["condition"] == "Condition.wait, held by within"
    assert rows["notified"] == "Lock.acquire, held by within"


async def test_the_census_tells_an_executor_that_is_full(executor_of_one):
    loop = asyncio.get_running_loop()
    go = threading.Event()

    async def calls():
        await loop.run_in_executor(executor_of_one, go.wait)

    tasks = [asyncio.create_task(calls(), name=name) for name in ("first", "second")]
    await asyncio.sleep(0)
    while executor_of_one._work_queue.qsize() > 1:
        await asyncio.sleep(0)
    rows = {row["name"]: row["waits"] for row in census(loop)}
    go.set()
    await asyncio.gather(*tasks)
    assert rows["first"] == "a call in an executor"
    assert rows["second"] == "a call in an executor, which is busy with others"


@pytest.fixture
def executor_of_one():
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        yield executor


async def test_the_census_tells_a_task_that_does_not_mind_to_be_cancelled():
    loop = asyncio.get_running_loop()

    async def stubborn():
        with contextlib.suppress(asyncio.CancelledError):
            await loop.create_future()
        await loop.create_future()

    task = asyncio.create_task(stubborn(), name="stubborn")
    states = []
    for _ in range(2):
        await asyncio.sleep(0)
        states += [row["state"] for row in census(loop) if row["name"] == "stubborn"]
        task.cancel()
        await asyncio.sleep(0)
    assert states == ["waiting", "cancelling"]


def test_an_agent_that_cannot_listen_does_not_stop_the_program(tmp_path):
    (tmp_path / "run" / "loopkit").write_text("in the way")
    runtime = str(tmp_path / "run")
    code = "import asyncio; asyncio.run(asyncio.sleep(0)); print('done')"
    ended = run_loopkit("--agent", "-c", code, XDG_RUNTIME_DIR=runtime)
    assert (ended.code, ended.out) == (0, "done\n")
    assert re.fullmatch(r"loopkit's agent cannot listen: .* \(it should be 0700\)\n", ended.err)


def test_a_loop_that_is_asked_goes_on_undisturbed(listening):
    async def main():
        stop = threading.Event()
        asked = []

        def asking():
            while not stop.is_set():
                asked.extend(
                    "error" in ask(listening, b'{"verb": "%s"}\n' % verb)
                    for verb in (b"ps", b"fds", b"dump", b"metrics")
                )

        thread = threading.Thread(target=asking)
        thread.start()
        for _ in range(300):
            await asyncio.gather(*(asyncio.sleep(0.0001) for _ in range(5)))
        stop.set()
        await asyncio.to_thread(thread.join)
        return asked

    handler = signal.getsignal(signal.SIGTERM)  # a flight recorder of another test has left its own
    loop = loopkit.Loop()
    asked = loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert len(asked) >= 4
    assert not any(asked)
    assert signal.getsignal(signal.SIGTERM) is handler
