"""Whole programs: fork, Ctrl-C, SIGTERM, exit codes."""

import signal

import pytest

from tests.support.programs import LIMIT, run_program, start_program

# A signal that comes just before the system call in which a loop sleeps does not interrupt it: CPython leaves
# this gap unless a wake-up descriptor is set. A timer now and then makes a program notice, late but surely.
BEAT = """
        def beat(loop):
            loop.call_later(0.05, beat, loop)
"""


def test_a_child_of_fork_leaves_the_parents_loop_alone(loop_name):
    code, out, err = run_program(
        loop_name,
        """
        import os, socket

        async def main():
            loop = asyncio.get_running_loop()
            ours, theirs = socket.socketpair()
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            pid = os.fork()
            if pid == 0:
                try:
                    asyncio._set_running_loop(None)
                    child = new_loop()  # a loop of its own
                    assert child.run_until_complete(asyncio.sleep(0.001, "child")) == "child"
                    child.close()
                    os._exit(0)
                except BaseException as exc:
                    print(repr(exc))
                    os._exit(1)
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                await asyncio.sleep(0.001)
            theirs.sendall(b"still here")
            print((await reader.readexactly(10)).decode())
            await loop.run_in_executor(None, int)
            theirs.close()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """,
    )
    assert (code, out) == (0, "still here\n"), err


def test_a_child_of_fork_that_exits_leaves_the_parents_loop_alone(loop_name):
    code, out, err = run_program(
        loop_name,
        """
        import os, socket

        async def main():
            loop = asyncio.get_running_loop()
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            loop.add_signal_handler(10, print, "signal")
            waiting = asyncio.ensure_future(loop.sock_recv(ours, 10))
            await asyncio.sleep(0.001)
            pid = os.fork()
            if pid == 0:
                loop = ours = theirs = None
                os._exit(0)
            os.waitpid(pid, 0)
            theirs.sendall(b"x")
            print(await waiting)
            os.kill(os.getpid(), 10)
            await asyncio.sleep(0.01)
            ours.close()
            theirs.close()

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """,
    )
    assert (code, out) == (0, "b'x'\nsignal\n"), err


@pytest.mark.parametrize("asleep", [True, False], ids=["asleep", "busy"])
def test_ctrl_c_ends_a_program_and_runs_its_finally_blocks(loop_name, asleep):
    with start_program(
        loop_name,
        f"""{BEAT}
        async def main():
            beat(asyncio.get_running_loop())
            print("ready")
            try:
                while True:
                    await asyncio.sleep({3600 if asleep else 0})
            finally:
                await asyncio.sleep(0)
                print("cleaned up")

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == -signal.SIGINT
    assert out == "cleaned up\n"
    assert err.rstrip().endswith("KeyboardInterrupt")


def test_ctrl_c_in_run_forever_is_a_keyboard_interrupt_and_the_loop_stays_usable(loop_name):
    with start_program(
        loop_name,
        f"""{BEAT}
        loop = new_loop()
        beat(loop)
        loop.call_soon(print, "ready")
        try:
            loop.run_forever()
        except KeyboardInterrupt:
            print("interrupted")
        print(loop.run_until_complete(asyncio.sleep(0.001, "usable")))
        loop.close()
        """,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (0, "interrupted\nusable\n"), err


def test_sigterm_can_shut_a_server_down_cleanly(loop_name):
    with start_program(
        loop_name,
        """
        import signal

        async def main():
            loop = asyncio.get_running_loop()
            stop = asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, stop.set)
            server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
            print("ready")
            await stop.wait()
            server.close()
            await server.wait_closed()
            print("done")

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (0, "done\n"), err


def test_a_program_that_fails_exits_with_its_traceback(loop_name):
    code, _, err = run_program(
        loop_name,
        """
        async def main():
            await asyncio.sleep(0)
            raise LookupError("the reason")

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """,
    )
    assert code == 1
    assert err.rstrip().endswith("LookupError: the reason")
