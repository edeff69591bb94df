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

import pytest

from loopkit.check.server import Running
from tests.check.examinations import SERVERS, check
from tests.cli.commands import LIMIT, SOURCE, environment, python
from tests.support.net import free_port
from tests.support.processes import children, is_running, listens, wait_until_gone
from tests.support.pythons import PYPY, needs_no_locale

# Whole examinations, on a machine that may have other things to do.
pytestmark = pytest.mark.timeout(600)

GOOD = SERVERS / "good.py"
FEW = ("--connections", "50")


def program(folder: Path, code: str) -> str:
    path = folder / "program.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(SERVERS)!r})\n{textwrap.dedent(code)}")
    return str(path)


def test_text_says_how_each_check_ended_and_the_score() -> None:
    done = check(*FEW, str(GOOD))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("ok     ") == 18
    assert "serves 50 connections" in done.stdout
    assert "answers in upper case" in done.stdout
    assert done.stdout.endswith("18 of 18 checks passed. Well done.\n")


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (("--lang", "zh"), {}),
        pytest.param((), {"LANG": "zh_CN.UTF-8"}, marks=needs_no_locale),
        pytest.param((), {"LC_ALL": "zh_CN.UTF-8"}, marks=needs_no_locale),
    ],
)
def test_chinese_if_asked_for_or_if_the_environment_is(words: tuple[str, ...], more: dict[str, str]) -> None:
    done = check(*words, str(SERVERS / "answers__fixed_greeting.py"), PYTHONIOENCODING="utf-8", **more)
    assert done.returncode == 1
    assert "错误  能响应客户端" in done.stdout
    assert "第一个客户端就得不到正确的响应：应是" in done.stdout
    assert done.stdout.endswith("18 项检查通过了 1 项。\n")


@needs_no_locale
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
            while not listens(server.pid):
                assert server.poll() is None
            done = check(*FEW, "--json", f"localhost:{port}")
            assert server.poll() is None
        finally:
            server.kill()
    result = json.loads(done.stdout)
    assert (done.returncode, result["score"]) == (0, {"points": 16, "of": 16})
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
    assert (told.returncode, json.loads(told.stdout)["faults"]) == (1, ["runs"])


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
    assert done.stdout.count("\n") <= 26


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
    left = [int(line) for line in (tmp_path / "children").read_text().split()]
    assert len(left) >= 2
    assert not wait_until_gone(left, LIMIT)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGINT, 130)])
def test_whoever_stops_the_check_stops_the_server(number: int, code: int, tmp_path: Path) -> None:
    server = program(tmp_path, "import good\ngood.Client.answer = lambda *_: b''\ngood.main(good.Server)")
    command = [sys.executable, "-u", "-m", "loopkit", "check", "--timeout", str(LIMIT), server]
    with subprocess.Popen(command, cwd=SOURCE, env=environment(), stderr=subprocess.PIPE) as checking:
        try:
            while not any(map(listens, servers := children(checking.pid))):
                assert checking.poll() is None
            checking.send_signal(number)
            _, errors = checking.communicate(timeout=LIMIT)
        finally:
            checking.kill()
    assert checking.returncode == code
    assert errors == b"loopkit check: stopped; the program has been ended too\n"
    assert not any(map(is_running, servers))


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
        (("--expect", "silence", "x"), "--expect: 'silence' is none of upper, echo, any"),
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


# -- What is not asked, and what is wrong beside the program.


def test_whoever_answers_something_fixed_can_be_asked_whether_it_lives() -> None:
    fixed = str(SERVERS / "answers__fixed_greeting.py")
    done = check(*FEW, "--json", "--expect=any", fixed)
    result = json.loads(done.stdout)
    states = {found["name"]: found["status"] for found in result["checks"]}
    assert (done.returncode, result["faults"], result["answers"]) == (0, [], "any")
    unasked = {"order", "partial-send", "back-pressure"}
    assert {name for name, status in states.items() if status == "unavailable"} == unasked


def test_whoever_only_greets_can_be_asked_whether_it_lives(tmp_path: Path) -> None:
    code = """
        import good

        class Client(good.Client):
            def __init__(self, *words):
                super().__init__(*words)
                self.sock.send(b"welcome\\n")
            answer = lambda *_: b""

        class Server(good.Server):
            client = Client

        good.main(Server)
    """
    result = json.loads(check(*FEW, "--json", "--timeout=1", "--expect=any", program(tmp_path, code)).stdout)
    assert (result["faults"], result["answers"]) == ([], "greeting")


def test_a_taken_port_is_refused_before_anything_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = check("--port", str(port), str(GOOD))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert f"--port: {port} is taken, process {os.getpid()} listens there" in done.stderr
        assert f"端口 {port} 已被占用" in check("--lang=zh", "--port", str(port), str(GOOD)).stderr


IS_BUILT_IN = "select" in sys.builtin_module_names
SELECT = pytest.param(
    "select.py", marks=pytest.mark.skipif(IS_BUILT_IN, reason="select is built in here: no file hides it")
)


@pytest.mark.parametrize("name", [SELECT, "socket.py", "queue.py", "asyncio.py"])
def test_a_file_that_hides_a_module_of_pythons_is_named_as_the_cause(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("print('mine')\n")
    path = tmp_path / "server.py"
    path.write_text(
        "import asyncio, queue, select, socket\nasyncio.run, queue.Queue, select.select\nsocket.socket()\n"
    )
    said = " ".join(check(str(path)).stdout.split())
    assert f"{name} beside the program hides Python's own module of that name" in said


@pytest.mark.parametrize("name", [SELECT, "socket.py", "asyncio.py", "signal.py"])
def test_it_is_named_too_if_it_lies_in_the_folder_of_whoever_asks(name: str, tmp_path: Path) -> None:
    module = name.removesuffix(".py")
    (tmp_path / "server.py").write_text(f"import {module}\n{module}.nothing_of_that_name()\n")
    (tmp_path / name).write_text("print('imported', flush=True)\n")
    done = python("-m", "loopkit", "check", "--lang=en", "--timeout=1", "server.py", cwd=tmp_path)
    assert (done.code, done.err) == (1, "")
    said = " ".join(done.out.split())
    assert f"{name} beside the program hides Python's own module of that name" in said
    assert "imported" not in done.out  # by us


def test_a_program_that_hides_a_module_of_pythons_itself_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "queue.py"
    path.write_text("import queue\nqueue.Queue()\n")
    said = " ".join(check(str(path)).stdout.split())
    assert "queue.py beside the program hides Python's own module of that name" in said


def test_what_is_built_into_python_is_hidden_by_no_file(tmp_path: Path) -> None:
    (tmp_path / "time.py").write_text("")
    path = tmp_path / "server.py"
    path.write_text("import time\ntime.nothing_of_that_name()\n")
    assert "hides" not in check(str(path)).stdout


def test_a_file_beside_a_program_that_ends_of_something_else_is_not_blamed(tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("")
    path = tmp_path / "server.py"
    path.write_text("undefined_name\n")
    assert "queue.py" not in check(str(path)).stdout


def test_a_port_that_somebody_has_is_named_with_who_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "server.py"
        path.write_text(f"import socket\nsocket.create_server(('127.0.0.1', {port}))\n")
        said = " ".join(check(str(path)).stdout.split())
    assert f"its port {port} is taken: process {os.getpid()} listens there; end that first" in said


def test_a_port_of_its_own_is_free_again_for_the_next_examination(tmp_path: Path) -> None:
    port = free_port()
    code = f"""
        import good, socket

        def create_server(address, backlog):  # without SO_REUSEADDR
            door = socket.socket()
            door.bind(address)
            door.listen(backlog)
            return door

        good.socket.create_server = create_server
        sys.argv[1:] = ["{port}"]
        good.main(good.Server)
    """
    server = program(tmp_path, code)
    for _ in range(2):
        result = json.loads(check(*FEW, "--json", server).stdout)
        assert (result["address"][1], result["faults"]) == (port, ["restart"])


def test_options_behind_the_program_are_noticed() -> None:
    done = check(*FEW, str(SERVERS / "runs__never_listens.py"), "--lang", "zh", "--timeout=3")
    assert "--lang --timeout=3. Options of check come before it" in done.stderr
    assert check(str(SERVERS / "runs__never_listens.py"), "--port", "{port}").stderr == ""


def test_the_whole_of_what_it_said_is_shown_if_asked_for(tmp_path: Path) -> None:
    server = program(tmp_path, "def serve():\n    door(80)\nserve()")
    assert "Traceback" not in check(server).stdout
    for words in (["-v"], ["--verbose"], ["-v", "--lang=zh"]):
        said = check(*words, server).stdout
        assert "| Traceback (most recent call last):" in said
        assert ", in serve" in said


# -- Where it is shown.


def test_help_and_mistakes_are_in_the_language_asked_for() -> None:
    assert check("--help", "--lang", "zh").stdout.startswith("用法：loopkit check")
    if not PYPY:  # it does not start in a locale that is not installed
        assert check("--help", LANG="zh_CN.UTF-8").stdout.startswith("用法：loopkit check")
    done = check("--lang=zh", "--expect", "silence", "x")
    assert done.stderr == "loopkit: --expect：'silence' 不在可选值 upper, echo, any 之中\n"
    assert "找不到 '/no/such/file.py'" in check("--lang=zh", "/no/such/file.py").stderr


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_help_fits_eighty_columns(lang: str) -> None:
    for line in check("--help", "--lang", lang).stdout.splitlines():
        assert sum(2 if ord(character) > 0x2E80 else 1 for character in line) < 80


@pytest.mark.parametrize("words", [("--help",), (str(SERVERS / "runs__never_listens.py"),)])
def test_a_full_disk_is_told_in_one_line(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "loopkit", "check", *words],
            cwd=SOURCE,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT,
        )
    assert done.returncode == 2
    assert done.stderr == "loopkit: cannot write the output: No space left on device\n"


@needs_no_locale
def test_chinese_is_not_asked_of_a_terminal_that_has_none() -> None:
    server = str(SERVERS / "runs__never_listens.py")
    by_locale = check(server, PYTHONIOENCODING="ascii", LANG="zh_CN")
    assert "FAULT  goes on running" in by_locale.stdout
    assert by_locale.stderr == ""
    asked = check("--lang=zh", server, PYTHONIOENCODING="ascii")
    assert asked.stdout == by_locale.stdout
    assert "has no Chinese characters" in asked.stderr


def test_what_an_ascii_terminal_cannot_show_is_escaped() -> None:
    done = check(str(SERVERS / "answers__fixed_greeting.py"), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (1, "")
    assert "gr\\xfc\\xdf dich, \\u4e16\\u754c?" in " ".join(done.stdout.split())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_narrow_terminal_gets_narrow_lines(lang: str) -> None:
    done = check("--lang", lang, str(SERVERS / "answers__fixed_greeting.py"), COLUMNS="40")
    widths = [sum(2 if ord(char) > 0x2E80 else 1 for char in line) for line in done.stdout.splitlines()]
    assert max(widths) <= 40
