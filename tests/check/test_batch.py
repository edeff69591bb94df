"""Is a class marked by one command: each once, nobody at another's expense, and again where it stopped?"""

# ruff: noqa: RUF001 - Chinese punctuation

import csv
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loopkit.check.batch.marks import Mark
from loopkit.check.batch.rubric import BadRubric, Rubric, load
from loopkit.check.batch.students import Student, find
from loopkit.check.batch.tables import as_csv, as_html
from loopkit.check.checks import CHECKS
from loopkit.check.process import exceeds
from tests.check.classroom import expected, write, wrong
from tests.check.examinations import FAULTY, SERVERS, check
from tests.cli.commands import LIMIT, SOURCE, environment

pytestmark = pytest.mark.timeout(600)

QUICK = ("--batch", "--connections=20", "--timeout=2")
ENDS = SERVERS / "runs__never_listens.py"


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_a_class_is_marked_and_everybody_has_what_he_deserves(tmp_path: Path) -> None:
    programs = [SERVERS / "good.py", ENDS, *(path for path in FAULTY if path.stem.startswith("runs__cl"))]
    programs += [path for path in FAULTY if path.stem in ("answers__fixed_greeting", "restart__no_reuse")]
    students = {f"student-{number}": path for number, path in enumerate(programs)}
    write(tmp_path / "class", students)
    table, page = tmp_path / "marks.csv", tmp_path / "marks.html"
    done = check(*QUICK, "--repeat=2", "--csv", str(table), "--html", str(page), str(tmp_path / "class"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert wrong(table, students) == []
    assert "5 of 5 students marked, 1 without a fault" in done.stdout
    assert done.stdout.count("/5  student-") == 5
    for name, path in students.items():
        assert f"{name}: " in page.read_text(encoding="utf-8")
        assert rows(table)[name]["runs"] == ("fault" if expected(path) == "runs" else "passed")
    again = check(*QUICK, "--repeat=2", "--csv", str(table), str(tmp_path / "class"))
    assert again.stdout.count("(marked before)") == 5
    (tmp_path / "class" / "student-1" / "server.py").write_text("raise SystemExit('changed')")
    changed = check(*QUICK, "--repeat=2", "--csv", str(table), str(tmp_path / "class"))
    assert changed.stdout.count("(marked before)") == 4
    anew = check(*QUICK, "--repeat=2", "--again", "--csv", str(table), str(tmp_path / "class" / "student-1"))
    assert "(marked before)" not in anew.stdout


def test_two_with_the_same_port_do_not_meet(tmp_path: Path) -> None:
    server = (SERVERS / "good.py").read_text().replace("int(sys.argv[1])", "1688")
    for name in ("ann", "bob", "cat"):
        (tmp_path / f"{name}.py").write_text(server)
    done = check(*QUICK, "--jobs=3", "--lang=zh", str(tmp_path))
    assert done.returncode == 0
    assert "3 名学生，3 名有成绩，3 名没有错误，平均 18 分。" in done.stdout


def test_what_a_program_writes_beside_itself_harms_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "ann"
    folder.mkdir()
    (folder / "server.py").write_text("open('server.py', 'w').close(); open('x', 'w').close(); 1/0")
    done = check(*QUICK, str(tmp_path))
    assert "ann  0 of 18  runs" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["server.py"]
    assert "1/0" in (folder / "server.py").read_text()


def test_memory_is_limited(tmp_path: Path) -> None:
    (tmp_path / "ann.py").write_text(
        "import time; time.sleep(0.2); x = bytearray(3_000_000_000); print(len(x))"
    )
    page = tmp_path / "marks.html"
    check(*QUICK, "--html", str(page), str(tmp_path / "ann.py"))
    assert "MemoryError" in page.read_text(encoding="utf-8")


def test_whoever_stops_it_has_what_was_done_and_the_next_command_goes_on(tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        (tmp_path / f"{name}.py").write_text(ENDS.read_text())
    stuck = tmp_path / "cat.py"
    stuck.write_text(
        (SERVERS / "good.py").read_text().replace("return self.decoder", "return b'' and self.decoder")
    )
    table = tmp_path / "marks.csv"
    words = [*QUICK[:-1], "--timeout=200", "--jobs=1", "--csv", str(table)]
    command = [
        sys.executable,
        "-m",
        "loopkit",
        "check",
        *words,
        *(str(path) for path in sorted(tmp_path.glob("*.py"))),
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=SOURCE, env=environment(), text=True, **pipes) as marking:  # type: ignore[call-overload]
        assert "ann" in marking.stdout.readline()
        assert "bob" in marking.stdout.readline()
        marking.send_signal(signal.SIGINT)
        _, said = marking.communicate(timeout=LIMIT)
    assert marking.returncode == 130
    assert "stopped; 2 of 3 are marked, and the same command goes on from there" in said
    assert set(rows(table)) == {"ann", "bob"}
    stuck.write_text(ENDS.read_text())
    assert check(*words, *map(str, sorted(tmp_path.glob("*.py")))).stdout.count("(marked before)") == 2


def test_who_is_who(tmp_path: Path) -> None:
    for path in (
        "ann.py",
        "bob/server.py",
        "bob/helper.py",
        "cat/my_server.py",
        "cat/x.py",
        "dan/only.py",
        "eve/a.py",
        "eve/b.py",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "__pycache__").mkdir()
    found = {student.name: student.program and student.program.name for student in find([tmp_path], "server")}
    assert found == {
        "ann": "ann.py",
        "bob": "server.py",
        "cat": "my_server.py",
        "dan": "only.py",
        "eve": None,
    }
    assert [
        student.name for student in find([tmp_path / "bob/server.py", tmp_path / "cat/x.py"], "server")
    ] == ["server", "x"]
    same = find([tmp_path / "dan/only.py", tmp_path / "dan/only.py"], "server")
    assert same[0].name == "dan/only.py"


def test_a_folder_in_which_no_program_can_be_told_has_no_mark(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / "eve").mkdir(exist_ok=True)
        (tmp_path / "eve" / name).write_text("")
    done = check(*QUICK, str(tmp_path))
    assert done.returncode == 1
    assert "no mark: which file in" in done.stdout


# -- The marks.


def result(**states: str) -> dict[str, object]:
    checks = [
        {
            "name": check.name,
            "status": states.get(check.name.replace("-", "_"), "passed"),
            "how": "",
            "title": check.name,
        }
        | {"text": "", "hint": "", "stderr": "", "seconds": 1.0}
        for check in CHECKS
    ]
    return {"checks": checks}


def test_a_rubric_weighs(tmp_path: Path) -> None:
    path = tmp_path / "rubric.toml"
    path.write_text("total = 100\n[weights]\nother = 0\nruns = 3\ncrowd = 1\n")
    rubric = load(path, [check.name for check in CHECKS])
    student = Student("ann", Path("ann.py"))
    assert Mark(student, [result()]).points(rubric) == (100, 100)
    assert Mark(student, [result(crowd="fault")]).points(rubric) == (75, 100)
    assert Mark(student, [result(crowd="unavailable", runs="fault")]).points(rubric) == (0, 100)
    assert Mark(student, [result(order="fault")]).points(Rubric()) == (17, 18)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("total = ", "rubric-unread"),
        ("points = 3", "rubric-unknown"),
        ("[weights]\nruns = 'many'", "rubric-number"),
        ("[weights]\nruns = -1", "rubric-number"),
        ("[weights]\nrun = 1", "rubric-unknown"),
        ("weights = 3", "rubric-unknown"),
        ("[weights]\nother = 0", "rubric-nothing"),
    ],
)
def test_a_rubric_that_makes_no_sense_is_refused(text: str, how: str, tmp_path: Path) -> None:
    path = tmp_path / "rubric.toml"
    path.write_text(text)
    with pytest.raises(BadRubric) as refused:
        load(path, [check.name for check in CHECKS])
    assert refused.value.how == how
    done = check("--batch", "--rubric", str(path), str(ENDS))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_what_is_not_the_same_each_time_is_told_and_the_worse_counts() -> None:
    mark = Mark(Student("ann", Path("ann.py")), [result(), result(order="fault"), result(idle="undecided")])
    assert not mark.steady
    assert mark.faults == ["order"]
    assert mark.points(Rubric()) == (16, 18)
    assert "not the same each time" in as_html([mark], Rubric(), "en")


def test_names_are_no_formulas_and_no_markup() -> None:
    mark = Mark(Student("=cmd()<b>", Path("x.py")), [result()])
    assert "'=cmd()<b>" in as_csv([mark], Rubric(), "en")
    assert "<b>" not in as_html([mark], Rubric(), "zh")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--csv", "x.csv", "server.py"), "--csv goes with --batch only"),
        (("--again", "server.py"), "--again goes with --batch only"),
        (("--batch", "--json", "."), "--json does not go with --batch"),
        (("--batch", "--port=99", "."), "--port does not go with --batch"),
        (("--client", "--expect=echo", "x"), "--expect does not go with --client"),
        (("--batch", "/no/such/folder"), "can't find '/no/such/folder'"),
        (("--batch", "--repeat=0", "."), "--repeat: '0' is no number from 1 to 100"),
        (
            ("--batch", "--csv=/no/such/folder/x.csv", str(ENDS)),
            "--csv: /no/such/folder/x.csv cannot be written",
        ),
        (("--batch", "--rubric=/no/such", str(ENDS)), "--rubric: /no/such cannot be read"),
    ],
)
def test_mistakes_are_answered_in_one_line(words: tuple[str, ...], says: str) -> None:
    done = check(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_examination_has_a_network_of_its_own() -> None:
    code = "from loopkit.check.batch.alone import isolate\nimport socket\n"
    code += "done = isolate()\nwith socket.create_server(('127.0.0.1', 1688)) as door:\n"
    code += "    socket.create_connection(door.getsockname()).close()\nprint(done)"
    with socket.create_server(("127.0.0.1", 1688)):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            cwd=SOURCE,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    if "False" in ended.stdout or "in use" in ended.stderr:
        pytest.skip("this system allows no network of one's own")
    assert ended.stdout == "True\n", ended.stderr


def test_memory_that_forks_share_counts_once() -> None:
    shared = bytes(range(256)) * (1 << 18)  # 64 MB, all of it touched
    reading, writing = os.pipe()
    children = []
    for _ in range(4):
        if not (pid := os.fork()):
            os.close(writing)
            os.read(reading, 1)  # until the test has ended
            os._exit(0)
        children.append(pid)
    try:
        family = [os.getpid(), *children]
        assert exceeds(family, len(shared))
        held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        assert not exceeds(family, held * 2)  # of five that hold as much each
    finally:
        os.close(writing)
        os.close(reading)
        for pid in children:
            os.waitpid(pid, 0)
