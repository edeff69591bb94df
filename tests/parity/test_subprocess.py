"""Child processes: what is passed to them, what their protocol is told and when; and none is left."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.support.leaks import open_descriptors
from tests.support.protocols import Recorder

WAITS_FOR_PIPES = sys.version_info < (3, 14, 7)

PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT


class Child(Recorder, asyncio.SubprocessProtocol):
    """Events "made", ("data", fd), ("pipe lost", fd), "exited", "lost"; `output` by descriptor."""

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


async def run(*args, **kwargs):
    """Run a program to its end: (return code, stdout, stderr)."""
    kwargs = {"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE, **kwargs}
    process = await asyncio.create_subprocess_exec(*args, **kwargs)
    out, err = await process.communicate()
    return process.returncode, out, err


async def start(*args, protocol=Child, **kwargs):
    return await asyncio.get_running_loop().subprocess_exec(protocol, *args, **kwargs)


# -- what a protocol is told ---------------------------------------------------------------------------------


async def test_the_life_of_a_child():
    transport, child = await start("cat")
    assert child.events == ["made"]
    assert child.transport is transport
    assert isinstance(transport, asyncio.SubprocessTransport) or "uvloop" in type(transport).__module__
    assert transport.get_returncode() is None
    stdin = transport.get_pipe_transport(0)
    stdin.write(b"hello")
    await child.until(lambda: child.output[1] == b"hello")
    stdin.close()
    await child.lost()
    assert transport.get_returncode() == 0
    assert child.events[0] == "made"
    assert child.events[-1] == "lost"
    assert sorted(event for event in child.events if event[0] == "pipe lost") == [
        ("pipe lost", fd) for fd in range(3)
    ]
    assert child.events.count("exited") == 1
    assert child.lost_with is None
    transport.close()


async def test_stdout_and_stderr_are_told_apart():
    transport, child = await start("sh", "-c", "echo out; echo err >&2")
    await child.lost()
    assert child.output == {1: b"out\n", 2: b"err\n"}
    for fd in (1, 2):
        assert child.events.index(("data", fd)) < child.events.index(("pipe lost", fd))
    transport.close()


@pytest.fixture
async def survived():
    """A child that ended with code 3, whose own child copies stdin to stdout until stdin is closed."""
    transport, child = await start("sh", "-c", "exec 3<&0; cat <&3 & exit 3", stderr=None)
    await child.until_event("exited")
    yield transport, child
    transport.get_pipe_transport(0).close()
    await child.lost()
    transport.close()


async def test_lost_comes_after_the_exit_and_the_last_pipe(survived):
    transport, child = survived
    assert transport.get_returncode() == 3
    transport.get_pipe_transport(0).write(b"still here")
    await child.until(lambda: child.output[1] == b"still here")
    assert "lost" not in child.events
    transport.get_pipe_transport(0).close()
    await child.lost()
    assert child.events.index(("pipe lost", 1)) < child.events.index("lost")


@pytest.mark.uvloop_differs(reason="raises ProcessLookupError")
async def test_killing_an_ended_child_is_no_error_while_its_pipes_are_open(survived):
    transport, child = survived
    transport.kill()
    transport.terminate()
    transport.send_signal(signal.SIGUSR1)
    assert transport.get_returncode() == 3


@pytest.mark.parametrize("call", [lambda t: t.kill(), lambda t: t.terminate(), lambda t: t.send_signal(10)])
async def test_signals_to_a_lost_child(call):
    transport, child = await start("true")
    await child.lost()
    with pytest.raises(ProcessLookupError):
        call(transport)
    assert transport.get_returncode() == 0
    transport.close()


class Streams(asyncio.subprocess.SubprocessStreamProtocol):
    """The protocol of create_subprocess_exec(), which also tells when the child has ended."""

    def __init__(self):
        super().__init__(limit=65536, loop=asyncio.get_running_loop())
        self.exited = asyncio.Event()

    def process_exited(self):
        super().process_exited()
        self.exited.set()


@pytest.mark.uvloop_differs(
    reason="wakes who waits as soon as the child ends", run=False, when=WAITS_FOR_PIPES
)
async def test_wait_returns_when_the_output_is_there():
    """Or, from Python 3.14.7 on, when the child has ended, whoever else holds its output."""
    script = "read word; exec 3<&0; cat <&3 & exit 3"
    transport, streams = await start("sh", "-c", script, protocol=Streams, stderr=None)
    process = asyncio.subprocess.Process(transport, streams, asyncio.get_running_loop())
    waiting = asyncio.create_task(process.wait())
    await asyncio.sleep(0)
    process.stdin.write(b"end\n")
    await streams.exited.wait()
    process.stdin.write(b"still here\n")
    assert await process.stdout.readline() == b"still here\n"
    assert waiting.done() is not WAITS_FOR_PIPES
    process.stdin.close()
    assert await waiting == 3
    assert await process.stdout.read() == b""
    assert await process.wait() == 3


@pytest.mark.uvloop_differs(reason="raises RuntimeError for a write after the end", run=False)
async def test_the_end_of_stdin_is_noticed_without_a_write():
    transport, child = await start("sh", "-c", "exec 0<&-; exec sleep 100", stdout=None, stderr=None)
    await child.until_event(("pipe lost", 0))
    transport.get_pipe_transport(0).write(b"ignored")
    transport.close()
    await child.lost()
    assert transport.get_returncode() == -signal.SIGKILL


variable = contextvars.ContextVar("variable", default="unset")


async def test_callbacks_run_in_the_context_of_the_creation():
    seen = {}

    class Looking(Child):
        def note(self, *event):
            seen[event[0]] = variable.get()
            super().note(*event)

    variable.set("mine")
    transport, child = await start("echo", "hello", protocol=Looking, stdin=None)
    variable.set("changed")
    await child.lost()
    # "exited" is asyncio's watcher thread's affair where it uses one.
    assert [seen[event] for event in ("made", "data", "pipe lost")] == ["mine"] * 3
    transport.close()


@pytest.mark.parametrize("where", ["pipe_data_received", "pipe_connection_lost", "process_exited"])
async def test_an_error_in_a_callback_is_reported_and_changes_nothing_else(where, reports):
    def fail(*args):
        raise ZeroDivisionError

    asyncio.get_running_loop().set_exception_handler(reports)
    protocol = Child()
    setattr(protocol, where, fail)
    transport, child = await start("echo", "hello", protocol=lambda: protocol, stdin=None, stderr=None)
    await child.lost()
    assert [type(exc) for exc in reports.exceptions] == [ZeroDivisionError]
    assert transport.get_returncode() == 0
    transport.close()


async def test_another_protocol():
    transport, first = await start("cat")
    second = Child()
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    transport.get_pipe_transport(0).write(b"hello")
    await second.until(lambda: second.output[1] == b"hello")
    assert first.events == ["made"]
    transport.get_pipe_transport(0).close()
    await second.lost()
    transport.close()


# -- return codes, signals, closing --------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 255])
async def test_return_codes(code):
    assert await run("sh", "-c", f"exit {code}") == (code, b"", b"")


@pytest.mark.parametrize(
    ("send", "number"),
    [
        (lambda process: process.kill(), signal.SIGKILL),
        (lambda process: process.terminate(), signal.SIGTERM),
        (lambda process: process.send_signal(signal.SIGUSR1), signal.SIGUSR1),
    ],
)
async def test_signals(send, number):
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
    send(process)
    assert await process.wait() == -number
    process.stdin.close()


async def test_close_kills_a_running_child():
    transport, child = await start("cat")
    transport.close()
    transport.close()
    await child.lost()
    assert transport.get_returncode() == -signal.SIGKILL
    assert {("pipe lost", fd) for fd in range(3)} < set(child.events)


@pytest.mark.uvloop_differs(reason="forgets that it was closed", run=False)
async def test_is_closing():
    transport, child = await start("cat")
    assert not transport.is_closing()
    transport.close()
    assert transport.is_closing()
    await child.lost()


async def test_close_of_an_ended_child_kills_nobody():
    transport, child = await start("sh", "-c", "exit 4", stdin=None)
    await child.lost()
    transport.close()
    assert transport.get_returncode() == 4


@pytest.mark.uvloop_differs(reason="leaves the child and its pipes behind", run=False)
@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_creation_leaves_no_child(turns):
    creation = asyncio.create_task(start("cat"))
    for _ in range(turns):
        await asyncio.sleep(0)
    creation.cancel()
    try:
        transport, child = await creation
    except asyncio.CancelledError:
        return
    transport.close()  # it was there already
    await child.lost()
    assert transport.get_returncode() == -signal.SIGKILL


async def test_children_end_in_any_order():
    count = 40
    processes = [await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE) for _ in range(count)]

    async def finish(number):
        out, _ = await processes[number].communicate(b"%d" % number)
        return number, out, processes[number].returncode

    order = [*range(1, count, 2), *range(0, count, 2)]
    found = await asyncio.gather(*(finish(number) for number in order))
    assert found == [(number, b"%d" % number, 0) for number in order]


@pytest.mark.uvloop_differs(reason="notices the end of a child in the main thread only", run=False)
def test_children_of_a_loop_in_another_thread(new_loop):
    found = []

    def work():
        loop = new_loop()
        asyncio.set_event_loop(loop)
        try:
            found.append(loop.run_until_complete(run("sh", "-c", "echo hello; exit 5")))
        finally:
            asyncio.set_event_loop(None)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(5, b"hello\n", b"")]


# -- the streams ---------------------------------------------------------------------------------------------


async def test_a_dialogue_line_by_line():
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    for line in (b"one\n", b"two\n", b"three\n"):
        process.stdin.write(line)
        await process.stdin.drain()
        assert await process.stdout.readline() == line
    process.stdin.close()
    await process.stdin.wait_closed()
    assert await process.stdout.read() == b""
    assert await process.wait() == 0


async def test_large_input_and_output():
    data = os.urandom(1 << 21)
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    assert await process.communicate(data) == (data, None)


async def test_a_child_that_does_not_read_pauses_the_writer():
    transport, child = await start("cat")
    stdin, stdout = transport.get_pipe_transport(0), transport.get_pipe_transport(1)
    stdout.pause_reading()
    data = b"x" * (1 << 20)
    stdin.write(data)
    assert child.events == ["made", "pause"]
    assert stdin.get_write_buffer_size() > 0
    stdout.resume_reading()
    await child.until_event("resume")
    stdin.close()
    await child.lost()
    assert child.output[1] == data
    transport.close()


async def test_stderr_into_stdout():
    assert await run("sh", "-c", "echo out; echo err >&2", stderr=STDOUT) == (0, b"out\nerr\n", None)


async def test_files_and_descriptors(tmp_path):
    (tmp_path / "in").write_bytes(b"from a file")
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as target:
        process = await asyncio.create_subprocess_exec("cat", stdin=source, stdout=target.fileno())
        assert process.stdin is process.stdout is process.stderr is None
        assert await process.wait() == 0
    assert (tmp_path / "out").read_bytes() == b"from a file"


async def test_devnull():
    transport, child = await start("cat", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    assert [transport.get_pipe_transport(fd) for fd in range(3)] == [None, None, None]
    await child.lost()
    assert child.events == ["made", "exited", "lost"]
    transport.close()


async def test_what_a_transport_knows(loop_name):
    transport, child = await start("cat")
    assert transport.get_pid() > 0
    assert os.getpgid(transport.get_pid()) == os.getpgrp()
    assert transport.get_pipe_transport(3) is None
    if loop_name != "uvloop":  # it has no Popen object
        assert transport.get_extra_info("subprocess").pid == transport.get_pid()
    transport.close()
    await child.lost()


# -- what is passed on ---------------------------------------------------------------------------------------


async def test_a_shell():
    process = await asyncio.create_subprocess_shell("echo hello | tr a-z A-Z; exit 6", stdout=PIPE)
    assert await process.communicate() == (b"HELLO\n", None)
    assert process.returncode == 6


async def test_a_shell_command_of_bytes():
    process = await asyncio.create_subprocess_shell(b"echo hello", stdout=PIPE)
    assert await process.communicate() == (b"hello\n", None)


async def test_arguments_of_several_types(tmp_path):
    (tmp_path / "file").write_text("hello")
    assert await run("cat", tmp_path / "file", os.fsencode(tmp_path / "file")) == (0, b"hellohello", b"")


async def test_directory_and_environment(tmp_path):
    found = await run("sh", "-c", "pwd; echo $WORD", cwd=tmp_path, env={**os.environ, "WORD": "hello"})
    assert found == (0, f"{tmp_path}\nhello\n".encode(), b"")


async def test_a_new_session():
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, start_new_session=True)
    assert os.getsid(process.pid) == process.pid
    await process.communicate(b"")


@pytest.mark.uvloop_differs(reason="refuses the keyword")
async def test_a_process_group():
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, process_group=0)
    assert os.getpgid(process.pid) == process.pid
    await process.communicate(b"")


@pytest.mark.uvloop_differs(reason="refuses the keyword")
async def test_a_umask():
    assert await run("sh", "-c", "umask", umask=0o27) == (0, b"0027\n", b"")


async def test_preexec_fn():
    assert await run("sh", "-c", "umask", preexec_fn=lambda: os.umask(0o31)) == (0, b"0031\n", b"")


@pytest.mark.uvloop_differs(reason="gives the program its real name")
async def test_another_program_under_the_name():
    found = await run("nobody", "-c", "echo $0", executable="/bin/sh")
    assert found == (0, b"nobody\n", b"")


LIST = "ls -1 /proc/$$/fd; :"


@pytest.mark.uvloop_differs(reason="lets children inherit what is inheritable")
async def test_children_inherit_nothing():
    with open(os.devnull) as file:
        os.set_inheritable(file.fileno(), True)
        assert await run("sh", "-c", LIST) == (0, b"0\n1\n2\n", b"")


async def test_pass_fds():
    with open(os.devnull) as file:
        fd = file.fileno()
        code, out, _ = await run("sh", "-c", LIST, pass_fds=[fd])
        assert code == 0
        assert str(fd).encode() in out.split()
        assert not os.get_inheritable(fd)


# -- errors --------------------------------------------------------------------------------------------------

WRONG = [
    ({"universal_newlines": True}, "universal_newlines must be False"),
    ({"bufsize": 4096}, "bufsize must be 0"),
    ({"text": True}, "text must be False"),
    ({"encoding": "utf-8"}, "encoding must be None"),
    ({"errors": "strict"}, "errors must be None"),
]
#: uvloop has other texts, and does not look at some of these.
texts_matter = pytest.mark.loops("asyncio", "epoll", "poll", "select", "busy")


@texts_matter
@pytest.mark.parametrize(("arguments", "text"), [*WRONG, ({"shell": True}, "shell must be False")])
async def test_wrong_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        await start("cat", **arguments)


@texts_matter
@pytest.mark.parametrize(("arguments", "text"), [*WRONG, ({"shell": False}, "shell must be True")])
async def test_wrong_arguments_for_a_shell(arguments, text):
    with pytest.raises(ValueError, match=text):
        await asyncio.get_running_loop().subprocess_shell(Child, "cat", **arguments)


@texts_matter
async def test_a_shell_command_that_is_no_text():
    with pytest.raises(ValueError, match="cmd must be a string"):
        await asyncio.get_running_loop().subprocess_shell(Child, ["cat"])


async def test_no_such_program(loop_name):
    with pytest.raises(FileNotFoundError) as caught:
        await start("/no/such/program")
    if loop_name != "uvloop":
        assert caught.value.filename == "/no/such/program"


async def test_a_program_that_may_not_be_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PermissionError):
        await start(tmp_path / "file")


@texts_matter
async def test_an_unknown_keyword():
    with pytest.raises(TypeError):
        await start("cat", colour="blue")


async def test_no_such_directory():
    with pytest.raises(FileNotFoundError):
        await start("cat", cwd="/no/such/directory")


@pytest.mark.uvloop_differs(reason="closes the descriptors later")
async def test_a_failed_start_opens_nothing():
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        await start("/no/such/program")
    assert open_descriptors() == before
