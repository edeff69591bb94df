"""`loopkit trace` and `loopkit view`: unmodified programs, and files of every kind."""

import copy
import json
import os
import random
import re
import signal
import subprocess
import sys

import pytest

from loopkit.diagnostics import files
from loopkit.diagnostics.tracefile import MARK, BadRecording, load
from tests.cli.commands import SOURCE, Terminal, environment, run_loopkit
from tests.unit.diagnostics.perfetto_checker import check

PROGRAM = """
import asyncio, sys, time
async def slow():
    time.sleep(0.5)
async def main():
    await asyncio.sleep(0.01)
    await slow()
    print(*sys.argv[1:])
asyncio.run(main())
"""


@pytest.fixture
def program(tmp_path):
    file = tmp_path / "app.py"
    file.write_text(PROGRAM)
    return file


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """A folder with a trace of the program, in both forms that are read."""
    folder = tmp_path_factory.mktemp("traced")
    (folder / "app.py").write_text(PROGRAM)
    for suffix in (".json", ".html"):
        assert run_loopkit("trace", "-o", f"t{suffix}", "app.py", cwd=folder).code == 0
    return folder


def test_a_program_runs_as_ever_and_is_written_down(program, tmp_path):
    code, out, err = run_loopkit("trace", "-o", "t.json", str(program), "-o", "its own", cwd=tmp_path)
    assert (code, out) == (0, "-o its own\n")
    assert re.search(r"loopkit: blocks: main kept everybody waiting for [\d.]+ s in slow", err)
    assert "(app.py:4)" in err
    assert "loopkit: wrote t.json (loop 1 (MainThread): " in err
    check((tmp_path / "t.json").read_text())
    assert os.stat(tmp_path / "t.json").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("suffix", [".html", ".json", ".txt"])
def test_every_form_is_written_and_the_first_two_are_read(program, tmp_path, suffix):
    assert run_loopkit("trace", f"-o=t{suffix}", str(program), cwd=tmp_path).code == 0
    code, out, err = run_loopkit("view", f"t{suffix}", cwd=tmp_path)
    if suffix == ".txt":
        assert (code, out, err) == (2, "", "loopkit: t.txt holds no recording of loopkit's\n")
        return
    assert code == 0
    assert "turn 1: " in out
    assert "because timer" in out
    assert run_loopkit("view", f"t{suffix}", "-o", "again.html", cwd=tmp_path).code == 0
    lint = run_loopkit("view", "again.html", "--lint", cwd=tmp_path)
    assert lint.code == 1
    assert lint.out.startswith("blocks: main kept everybody waiting")


def test_its_exit_code_and_its_exception_are_its_own(tmp_path):
    code, _, err = run_loopkit(
        "trace", "-c", "import asyncio, sys; asyncio.run(asyncio.sleep(0)); sys.exit(7)", cwd=tmp_path
    )
    assert code == 7
    assert "wrote trace.html" in err
    code, _, err = run_loopkit(
        "trace", "-c", "import asyncio\nasync def f(): 1/0\nasyncio.run(f())", cwd=tmp_path
    )
    assert code == 1
    assert err.rstrip().endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_keeps_what_there_is(tmp_path, number):
    code = """
import asyncio
async def main():
    print("up", flush=True)
    while True:
        await asyncio.sleep(0.001)
asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-m", "loopkit", "trace", "-o", "t.json", "--last", "50", "-c", code],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(SOURCE)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        process.send_signal(number)
        process.communicate(timeout=20)
    assert process.returncode == -number
    data = json.loads((tmp_path / "t.json").read_text())
    assert 1 <= len([row for row in data["loopkit"]["loops"][0]["steps"] if row[0] == "t"]) <= 50


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trace",), "trace needs a file, -m MODULE"),
        (("trace", "-o"), "-o needs a file"),
        (("trace", "--last", "many", "app.py"), "--last needs a number of turns, not 'many'"),
        (("trace", "-o", "t.svg", "app.py"), "a trace is written as .html, .json, .txt, not as 't.svg'"),
        (
            ("trace", "-o", "nowhere/t.html", "app.py"),
            "cannot write nowhere/t.html: there is no such directory",
        ),
        (("trace", "no such program.py"), "can't open file"),
        (("trace", "--nonsense", "app.py"), "unknown option '--nonsense'"),
        (("view",), "view needs one file"),
        (("view", "nothing.json"), "nothing.json: No such file or directory"),
        (("view", "--nonsense", "x"), "unknown option '--nonsense'"),
        (("view", "t.json", "-o"), "-o needs a file"),
    ],
)
def test_bad_usage_is_one_line(tmp_path, words, said):
    code, out, err = run_loopkit(*words, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_full_disk_is_one_line_and_disturbs_nobody(program, tmp_path):
    os.symlink("/dev/full", tmp_path / "full.json")
    code, out, err = run_loopkit("trace", "-o", "full.json", str(program), "done", cwd=tmp_path)
    assert (code, out) == (1, "done\n")
    assert err == "loopkit: cannot write full.json: No space left on device\n"


@pytest.mark.parametrize("suffix", [".json", ".html"])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.6, 0.9, 0.999])
def test_a_trace_that_is_cut_off_is_told(traced, tmp_path, suffix, share):
    text = (traced / f"t{suffix}").read_text()
    cut = f"cut{suffix}"
    part = text[: int(len(text) * share)]
    (tmp_path / cut).write_text(part)
    ended = run_loopkit("view", cut, "--lint", cwd=tmp_path)
    if suffix == ".html" and ended.code == 1:
        assert "</script>" in part.partition(MARK)[2]  # the recording is whole, only what plays it is not
        assert ended.out.startswith("blocks: main")
    else:
        assert ended == (2, "", f"loopkit: {cut} is cut off: it ends in the middle\n")


def test_a_trace_is_cut_off_wherever_it_ends(traced, tmp_path):
    """Also where a part of it ends as the whole does, in a brace."""
    text = (traced / "t.json").read_text().strip()
    braces = [at for at in range(1, len(text)) if text[at - 1] == "}"]
    assert len(braces) > 100
    for at in [*range(1, 400), *braces[:200], *braces[-200:-1], len(text) - 1]:
        (tmp_path / "cut.json").write_text(text[:at])
        with pytest.raises(BadRecording, match="is cut off"):
            load(tmp_path / "cut.json")


@pytest.mark.parametrize("data", [b"", bytes(range(256)) * 20, b"[" * 100_000, b"[]", b'"loopkit"', b"{}"])
def test_what_is_no_recording_is_one_line(tmp_path, data):
    (tmp_path / "x.json").write_bytes(data)
    said = "loopkit: x.json holds no recording of loopkit's\n"
    assert run_loopkit("view", "x.json", cwd=tmp_path) == (2, "", said)


def test_a_directory_is_one_line(tmp_path):
    assert run_loopkit("view", ".", cwd=tmp_path) == (2, "", "loopkit: .: Is a directory\n")


def test_a_damaged_trace_is_told_and_what_is_read_can_be_shown(traced, tmp_path):
    """Any value of it is exchanged for any other, or missing."""
    rng = random.Random(7)
    text = (traced / "t.json").read_text()
    strange = [None, True, -1, 1e300, 10**30, float("inf"), float("nan"), "x", "", [], {}]
    told = 0
    for _ in range(300):
        data = json.loads(text)["loopkit"]
        holder, key = rng.choice(list(every_place(data)))
        if rng.random() < 0.8:
            holder[key] = rng.choice(strange)
        else:
            del holder[key]
        (tmp_path / "d.json").write_text(json.dumps(data))
        try:
            recording = load(tmp_path / "d.json")
        except BadRecording:
            told += 1
            continue
        for suffix in files.FORMS:
            assert files.rendered(recording, suffix)
    assert told > 100


CONNECTED = """\
import asyncio

async def answer(reader, writer):
    await reader.read(1)
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"x")
    await reader.read()
    writer.close()
    server.close()
    asyncio.get_running_loop().call_exception_handler({"message": "told"})

asyncio.run(main())
"""


def test_a_step_that_is_cut_short_is_refused(tmp_path):
    (tmp_path / "p.py").write_text(CONNECTED)
    assert run_loopkit("trace", "-o", "t.json", "p.py", cwd=tmp_path).code == 0
    whole = json.loads((tmp_path / "t.json").read_text())["loopkit"]
    kinds = {step[0] for step in whole["loops"][0]["steps"]}
    assert kinds >= set("tpcbdwoxe")
    for kind in kinds:
        data = copy.deepcopy(whole)
        next(step for step in data["loops"][0]["steps"] if step[0] == kind).pop()
        (tmp_path / "d.json").write_text(json.dumps(data))
        with pytest.raises(BadRecording):
            load(tmp_path / "d.json")


def every_place(data):
    for key, value in list(data.items() if isinstance(data, dict) else enumerate(data)):
        yield data, key
        if isinstance(value, dict | list):
            yield from every_place(value)


def test_timers_of_all_times_are_written_and_read(tmp_path):
    code = """
import asyncio
async def main():
    loop = asyncio.get_running_loop()
    for when in (float("-inf"), -1e300, 0):
        loop.call_at(when, print, when)
    never = [loop.call_at(when, print, when) for when in (1e300, float("inf"))]
    await asyncio.sleep(0.01)
    for timer in never:
        timer.cancel()
asyncio.run(main())
"""
    ended = run_loopkit("trace", "-o", "t.json", "-c", code, cwd=tmp_path)
    assert (ended.code, ended.out) == (0, "-inf\n-1e+300\n0\n")
    check((tmp_path / "t.json").read_text())
    assert "timer, 1000000000.000 s late" in run_loopkit("view", "t.json", cwd=tmp_path).out


def test_a_trace_of_another_version_is_told(traced, tmp_path):
    text = (traced / "t.json").read_text()
    (tmp_path / "new.json").write_text(text.replace('"loopkit":1,', '"loopkit":7,'))
    said = "loopkit: new.json is a recording of version 7; this loopkit reads version 1\n"
    assert run_loopkit("view", "new.json", cwd=tmp_path) == (2, "", said)


def test_who_stops_reading_gets_no_traceback(traced):
    """As in `loopkit view t.json | head -1`."""
    words = [sys.executable, "-m", "loopkit", "view", "t.json"]
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        words, stdout=write, stderr=subprocess.PIPE, cwd=traced, env=environment(), check=False
    )
    os.close(write)
    assert ended.stderr == b""
    assert ended.returncode in (0, 1)


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_who_has_no_input_or_no_output_gets_no_traceback(traced, closed):
    words = ["/bin/sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-m", "loopkit", "view", "t.json"]
    ended = subprocess.run(words, capture_output=True, cwd=traced, env=environment(), check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_full_disk_at_the_other_end_is_one_line(traced):
    words = [sys.executable, "-m", "loopkit", "view", "t.json"]
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, cwd=traced, env=environment(), check=False
        )
    assert ended.stderr == b"loopkit: cannot write the output: No space left on device\n"
    assert ended.returncode == 2


def test_a_program_may_go_elsewhere(tmp_path):
    (tmp_path / "app.py").write_text("import asyncio, os\nasyncio.run(asyncio.sleep(0))\nos.chdir('/')\n")
    ended = run_loopkit("trace", "-o", "t.json", "app.py", cwd=tmp_path)
    assert ended.err.startswith("loopkit: wrote t.json (loop 1")
    assert (tmp_path / "t.json").is_file()


@pytest.mark.parametrize("how", ["sys.stderr.close()", "sys.stderr = None", "os.close(2)"])
def test_a_program_may_close_standard_error(tmp_path, how):
    code = f"import asyncio, os, sys; asyncio.run(asyncio.sleep(0)); {how}"
    ended = run_loopkit("trace", "-o", "t.json", "-c", code, cwd=tmp_path)
    assert ended.code == 0
    assert ended.out == ""
    assert "rror" not in ended.err
    assert (tmp_path / "t.json").is_file()


def test_children_are_not_traced(tmp_path):
    code = """
import asyncio, os, subprocess, sys
asyncio.run(asyncio.sleep(0))
subprocess.run([sys.executable, "-c", "import loopkit, asyncio; loopkit.run(asyncio.sleep(0))"], check=True)
if not (pid := os.fork()):
    asyncio.run(asyncio.sleep(0))
    sys.exit()
os.waitpid(pid, 0)
"""
    ended = run_loopkit("trace", "-c", code, cwd=tmp_path)
    assert ended.code == 0
    assert ended.err.count("wrote trace.html") == 1


def test_the_terminal_is_stepped_through(program, tmp_path):
    run_loopkit("trace", "-o", "t.json", str(program), cwd=tmp_path)
    with Terminal("view", "t.json", cwd=tmp_path) as terminal:
        terminal.expect("turn 1:")
        terminal.type("s")
        terminal.expect("await slow()")
        terminal.type("w")
        terminal.type("N")
        terminal.type("q")
        assert terminal.ended() == 0
