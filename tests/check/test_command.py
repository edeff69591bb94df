"""`loopkit check` as a command: how programs are started, what it says in which language, what it leaves."""

# ruff: noqa: RUF001 - Chinese punctuation

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from loopkit.check.server import Running
from tests.check.examinations import SERVERS, check
from tests.cli.commands import LIMIT, SOURCE, environment
from tests.support.net import free_port

GOOD = SERVERS / "good.py"
FEW = ("--connections", "50")


def program(folder: Path, code: str) -> str:
    path = folder / "program.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(SERVERS)!r})\n{textwrap.dedent(code)}")
    return str(path)


def test_text_says_how_each_check_ended_and_the_score() -> None:
    done = check(*FEW, str(GOOD))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("ok     ") == 14
    assert "serves 50 connections" in done.stdout
    assert "answers in upper case" in done.stdout
    assert done.stdout.endswith("14 of 14 checks passed. Well done.\n")


@pytest.mark.parametrize(
    ("words", "more"),
    [(("--lang", "zh"), {}), ((), {"LANG": "zh_CN.UTF-8"}), ((), {"LC_ALL": "zh_CN.UTF-8"})],
)
def test_chinese_if_asked_for_or_if_the_environment_is(words: tuple[str, ...], more: dict[str, str]) -> None:
    done = check(*words, str(SERVERS / "answers__fixed_greeting.py"), PYTHONIOENCODING="utf-8", **more)
    assert done.returncode == 1
    assert "错误  能回答客户端" in done.stdout
    assert "第一个客户端就得不到正确的回答：应是" in done.stdout
    assert done.stdout.endswith("14 项检查通过了 0 项。\n")


def test_the_language_asked_for_is_preferred_to_the_environment() -> None:
    done = check("--lang=en", str(SERVERS / "answers__fixed_greeting.py"), LANG="zh_CN.UTF-8")
    assert "FAULT  answers a client" in done.stdout


# A server that has been found, and whose only answer ends the examination.
WELCOME = "good.Client.answer = lambda *_: b'welcome\\n'"


def was_found(done: subprocess.CompletedProcess[str]) -> bool:
    return "'welcome\\n' came" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [
        "port = int(sys.argv[1])",
        "assert sys.argv[1] == 'server'; port = int(sys.argv[2])",
        "assert sys.argv[1] == '--port'; port = int(sys.argv[2])",
        "port = 0; assert not sys.argv[1:]",
        "port = 0",
    ],
)
def test_a_program_may_take_its_port_in_any_usual_way_or_have_one_of_its_own(
    arguments: str, tmp_path: Path
) -> None:
    code = f"""
        import good
        {WELCOME}
        {arguments}
        sys.argv[1:] = [str(port)]
        good.main(good.Server)
    """
    assert was_found(check(program(tmp_path, code)))


def test_arguments_may_say_where_the_port_goes(tmp_path: Path) -> None:
    code = f"""
        import good
        {WELCOME}
        assert sys.argv[1] == "--listen"
        sys.argv[1:] = [sys.argv[2].removeprefix("127.0.0.1:")]
        good.main(good.Server)
    """
    assert was_found(check(program(tmp_path, code), "--listen", "127.0.0.1:{port}"))


def test_a_program_need_not_be_python(tmp_path: Path) -> None:
    path = tmp_path / "server"
    code = f"import good\n{WELCOME}\ngood.main(good.Server)"
    path.write_text(f"#!/bin/sh\nexec {sys.executable} {program(tmp_path, code)} $1\n")
    path.chmod(0o755)
    assert was_found(check(str(path)))


def test_the_port_can_be_chosen(tmp_path: Path) -> None:
    port = free_port()
    server = program(tmp_path, f"import good\n{WELCOME}\ngood.main(good.Server)")
    done = check("--json", "--port", str(port), server)
    assert json.loads(done.stdout)["address"] == ["127.0.0.1", port]


def test_a_running_server_is_examined_but_not_stopped() -> None:
    port = free_port()
    with subprocess.Popen([sys.executable, str(GOOD), str(port)]) as server:
        try:
            process = psutil.Process(server.pid)
            while not process.net_connections(kind="tcp"):
                assert server.poll() is None
            done = check(*FEW, "--json", f"localhost:{port}")
            assert server.poll() is None
        finally:
            server.kill()
    result = json.loads(done.stdout)
    assert (done.returncode, result["score"]) == (0, {"points": 13, "of": 13})
    states = {found["name"]: found["status"] for found in result["checks"]}
    assert states["ctrl-c"] == "unavailable"
    assert states["descriptors"] == states["idle"] == states["single-thread"] == "passed"


def test_nobody_listening_is_one_line_that_says_what_to_do() -> None:
    with socket.socket() as taken:  # bound, so that it is nobody else's; not listening
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        english, chinese, told = check(address), check("--lang=zh", address), check("--json", address)
    assert (english.returncode, english.stdout, english.stderr.count("\n")) == (1, "", 1)
    assert f"no connection to {address} (Connection refused): start the server first" in english.stderr
    assert (chinese.returncode, chinese.stdout, chinese.stderr.count("\n")) == (1, "", 1)
    assert f"连不上 {address}（Connection refused）：请先启动服务器" in chinese.stderr
    assert (told.returncode, json.loads(told.stdout)["faults"]) == (1, ["answers"])


def test_localhost_is_the_one_of_its_addresses_where_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert Running("localhost", port).address == ("127.0.0.1", port)


def test_an_answer_in_the_wrong_case_is_a_fault_if_one_is_expected() -> None:
    done = check(*FEW, "--json", "--expect", "echo", str(GOOD))
    result = json.loads(done.stdout)
    assert (result["faults"], result["answers"]) == (["answers"], "")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit('no such day')", "has ended: no such day"),
        ("def serve():\n    door(80)\nserve()", "'door' is not defined (program.py, line 4)"),
        ("print(", "was never closed (program.py, line 3)"),
        ("import json\njson.loads('{')", "(program.py, line 4)"),
        (
            "raise ExceptionGroup('tasks', [ValueError('the inner one')])",
            "has ended: ValueError: the inner one",
        ),
    ],
)
def test_who_ends_at_once_is_told_why_and_where(code: str, says: str, tmp_path: Path) -> None:
    assert says in " ".join(check(program(tmp_path, code)).stdout.split())


@pytest.mark.parametrize(("lang", "says"), [("en", "exit code 0"), ("zh", "程序结束了：退出码 0")])
def test_who_ends_without_a_word_is_told_its_exit_code(lang: str, says: str, tmp_path: Path) -> None:
    done = check("--lang", lang, program(tmp_path, ""))
    assert says in done.stdout
    # The fault with what explains it fits on a screen together with all that was not tried.
    assert done.stdout.count("\n") <= 20


def test_who_takes_its_port_in_one_way_is_not_only_told_that_it_took_no_other(tmp_path: Path) -> None:
    code = """
        if sys.argv[1:2] != ["server"]:
            sys.exit("usage: program.py server PORT")
        undefined_name
    """
    said = " ".join(check(program(tmp_path, code)).stdout.split())
    assert "program.py PORT`: usage: program.py server PORT; `" in said
    assert (
        "program.py server PORT`: NameError: name 'undefined_name' is not defined (program.py, line 6)"
        in said
    )
    assert said.count("usage:") == 1


def test_the_limit_of_descriptors_is_explained(tmp_path: Path) -> None:
    code = """
        import good, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

        class Server(good.Server):
            def accept(self):
                try:
                    super().accept()
                except OSError:  # turn one away, with the descriptor that was kept for it
                    self.spare.close()
                    self.door.accept()[0].close()
                    self.spare = open("/dev/null")
            spare = open("/dev/null")

        good.main(Server)
    """
    done = check("--connections", "100", "--json", program(tmp_path, code))
    crowd = next(found for found in json.loads(done.stdout)["checks"] if found["name"] == "crowd")
    assert crowd["status"] == "limited"
    assert "a process here may open 40" in crowd["text"]
    assert done.returncode == 0


def test_the_limit_of_select_is_explained() -> None:
    done = check("--connections", "1100", "--json", str(SOURCE / "examples" / "tutorial" / "03_select.py"))
    crowd = next(found for found in json.loads(done.stdout)["checks"] if found["name"] == "crowd")
    assert crowd["status"] == "limited"
    assert crowd["text"].startswith("1020 clients, then select() is at its end")
    assert done.returncode == 0


def test_nobody_reading_on_is_no_traceback(tmp_path: Path) -> None:
    server = program(tmp_path, f"import good\n{WELCOME}\ngood.main(good.Server)")
    command = [sys.executable, "-m", "loopkit", "check", server]
    with subprocess.Popen(
        command, cwd=SOURCE, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as checking:
        assert checking.stdout is not None
        checking.stdout.close()
        checking.stdout = None
        assert checking.communicate(timeout=LIMIT)[1] == b""
    assert checking.returncode == 1


def test_a_traceback_at_ctrl_c_is_mentioned(tmp_path: Path) -> None:
    code = "import good\ngood.Server(int(sys.argv[1])).run()"
    done = check(*FEW, program(tmp_path, code))
    assert done.returncode == 0
    assert "with a traceback: catch KeyboardInterrupt" in done.stdout


def test_a_program_that_floods_its_standard_error_does_not_stop_the_check(tmp_path: Path) -> None:
    code = """
        import good

        class Server(good.Server):
            def accept(self):
                print("x" * 1000, file=sys.stderr)
                super().accept()

        good.main(Server)
    """
    assert check("--connections", "200", program(tmp_path, code)).returncode == 0


def test_nothing_that_a_program_has_started_is_left_behind(tmp_path: Path) -> None:
    code = f"""
        import good, os, signal, subprocess
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # One in the same group, and one that has left it.
        for leave in (False, True):
            sleeper = [sys.executable, "-c", "import time; time.sleep(1000)"]
            child = subprocess.Popen(sleeper, start_new_session=leave)
            print(child.pid, file=open({str(tmp_path / "children")!r}, "a"))
        good.main(good.Server)
    """
    check(*FEW, program(tmp_path, code))
    children = [int(line) for line in (tmp_path / "children").read_text().split()]
    assert len(children) >= 2
    for pid in children:
        try:
            psutil.Process(pid).wait(LIMIT)
        except psutil.NoSuchProcess:
            pass


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGINT, 130)])
def test_whoever_stops_the_check_stops_the_server(number: int, code: int, tmp_path: Path) -> None:
    server = program(tmp_path, "import good\ngood.Client.answer = lambda *_: b''\ngood.main(good.Server)")
    command = [sys.executable, "-u", "-m", "loopkit", "check", "--timeout", str(LIMIT), server]
    with subprocess.Popen(command, cwd=SOURCE, env=environment(), stderr=subprocess.PIPE) as checking:
        process = psutil.Process(checking.pid)
        try:
            while not (children := process.children()) or not children[0].net_connections(kind="tcp"):
                assert checking.poll() is None
            checking.send_signal(number)
            _, errors = checking.communicate(timeout=LIMIT)
        finally:
            checking.kill()
    assert checking.returncode == code
    assert errors == b"loopkit check: stopped; the server has been ended too\n"
    assert not any(child.is_running() for child in children)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "check needs a program or HOST:PORT"),
        (("--nonsense", "x"), "check does not understand '--nonsense'"),
        (("/no/such/file.py",), "can't find '/no/such/file.py': neither a file nor HOST:PORT"),
        (("127.0.0.1:99999",), "ports go from 1 to 65535"),
        (("127.0.0.1:80", "x"), "127.0.0.1:80 runs already"),
        (("no such host.invalid:80",), "'no such host.invalid:80': "),
        (("--lang", "la", "x"), "--lang: 'la' is none of en, zh"),
        (("--expect", "silence", "x"), "neither upper nor echo"),
        (("--timeout", "soon", "x"), "--timeout: 'soon' is no number from 0.1 to 600"),
        (("--connections", "1.5", "x"), "--connections: '1.5' is no number from 2 to 100000"),
        (("--port", "-1", "x"), "--port: '-1' is no number from 0 to 65535"),
        (("--port",), "--port needs a value"),
    ],
)
def test_mistakes_are_answered_in_one_line(words: tuple[str, ...], says: str) -> None:
    done = check(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_shows_every_option() -> None:
    done = check("--help")
    assert done.returncode == 0
    for option in ("--lang", "--json", "--expect", "--port", "--timeout", "--connections"):
        assert option in done.stdout


def test_a_program_without_permission_is_answered_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "secret.py"
    path.write_text("")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert "permission denied" in check(str(path)).stderr
