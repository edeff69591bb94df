"""Examining a class: several at once, each in a process of its own, and who was marked is remembered."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import loopkit
from loopkit.check.stopping import heed, uninterrupted

from .marks import Mark

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from .students import Student

__all__ = ["Journal", "Plan", "mark_all"]

#: What a process does that examines one program: see alone.py. The folder it is started in is the student's,
#: in which a file may be called select.py: nothing may be imported from there (-P).
_ALONE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from loopkit.check.batch import alone; "
_ALONE += "sys.exit(alone.main(sys.argv[1:]))"

#: Seconds after which an examination is given up: each of its steps is bounded, and all of them take less.
LONGEST = 3600.0

#: Seconds after which Ctrl-C is noticed at the latest. A signal ends this thread's sleep; but one that comes
#: while it still waits for its turn among the threads, to go to sleep, is noticed only when it wakes up.
NOTICED = 0.5

#: What says that another program, or the machine, was in the way: then it is done again, alone.
_DISTURBED = ("port-owned", "port-lingers", "crowded")


class Plan(NamedTuple):
    """How to examine: options for ``loopkit check``, how often each, how many at once."""

    options: list[str]
    repeat: int
    jobs: int


class Journal:
    """Who was marked: a line of JSON each, so that a command that was stopped can go on.

    Args:
        path: its file; None remembers nothing.
        plan: marks of another plan are not taken.
        again: forget what is there.
    """

    def __init__(self, path: Path | None, plan: Plan, *, again: bool = False) -> None:
        self._path = path
        self._plan = [loopkit.__version__, plan.repeat, *plan.options]
        self._lock = threading.Lock()
        self._known: dict[str, list[dict[str, Any]]] = {}
        if path is not None and again:
            path.unlink(missing_ok=True)
        elif path is not None and path.exists():
            self._read(path)

    def _read(self, path: Path) -> None:
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
                self._known[entry["key"]] = entry["results"]
            except (ValueError, KeyError, TypeError):  # cut off when the last command was killed
                continue

    def _key(self, student: Student) -> str:
        return json.dumps([student.name, student.digest(), self._plan])

    def recall(self, student: Student) -> Mark | None:
        """His mark, if nothing has changed since."""
        if self._path is None or (results := self._known.get(self._key(student))) is None:
            return None
        return Mark(student, results, before=True)

    def keep(self, mark: Mark) -> None:
        """Remember it."""
        if self._path is None or mark.problem or mark.undecided:
            return
        line = json.dumps({"key": self._key(mark.student), "results": mark.results}, ensure_ascii=False)
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def mark_all(
    students: list[Student], plan: Plan, journal: Journal, tell: Callable[[Mark], None]
) -> list[Mark]:
    """Mark everybody, in the order of *students*; what is there when it is interrupted has been told.

    Args:
        students: whom.
        plan: how.
        journal: who was marked before, and is not examined again.
        tell: is called with each mark as soon as it is there, in this thread.
    """
    with _Room(plan) as room, ThreadPoolExecutor(plan.jobs) as pool:
        try:
            marks: dict[str, Mark] = {}
            waiting = 0
            done: queue.SimpleQueue[Future[Mark]] = queue.SimpleQueue()
            for student in students:
                if known := journal.recall(student):
                    marks[student.name] = known
                    tell(known)
                else:
                    pool.submit(room.mark, student).add_done_callback(done.put)
                    waiting += 1
            for _ in range(waiting):
                mark = _next(done).result()
                journal.keep(mark)
                marks[mark.student.name] = mark
                tell(mark)
        except BaseException:
            while room.stop():
                time.sleep(NOTICED)
            pool.shutdown(cancel_futures=True)
            raise
    return [marks[student.name] for student in students]


def _next(done: queue.SimpleQueue[Future[Mark]]) -> Future[Mark]:
    while True:
        heed()
        with contextlib.suppress(queue.Empty):
            return done.get(timeout=NOTICED)


class _Room:
    """Where programs are examined, side by side or alone."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._children: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._gate = threading.Condition()
        self._inside = 0
        self._stopped = False
        self._folder = tempfile.TemporaryDirectory(prefix="loopkit-check-", ignore_cleanup_errors=True)

    def __enter__(self) -> _Room:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def mark(self, student: Student) -> Mark:
        """Examine a student's program as often as the plan says."""
        mark = Mark(student)
        if student.program is None:
            mark.problem = ("which-program", {"folder": str(student.folder)})
            return mark
        for _ in range(self._plan.repeat):
            result = self._side_by_side(student)
            for _ in range(2):
                if _disturbed(result):
                    result = self._by_itself(student)
            if isinstance(result, str):
                mark.problem = ("not-examined", {"error": result})
                return mark
            mark.results.append(result)
        return mark

    def stop(self) -> bool:
        """Tell those who examine to end, each with what it examines; whether there still are any."""
        with uninterrupted(), self._lock:
            self._stopped = True
            for child in self._children:
                child.terminate()
            return bool(self._children)

    def _side_by_side(self, student: Student) -> dict[str, Any] | str:
        with self._gate:
            self._gate.wait_for(lambda: self._inside >= 0)
            self._inside += 1
        try:
            return self._examine(student)
        finally:
            with self._gate:
                self._inside -= 1
                self._gate.notify_all()

    def _by_itself(self, student: Student) -> dict[str, Any] | str:
        with self._gate:
            self._gate.wait_for(lambda: self._inside == 0)
            self._inside = -1
        try:
            return self._examine(student)
        finally:
            with self._gate:
                self._inside = 0
                self._gate.notify_all()

    def _examine(self, student: Student) -> dict[str, Any] | str:
        """What is found out, or why nothing was."""
        with tempfile.TemporaryDirectory(dir=self._folder.name, ignore_cleanup_errors=True) as scratch:
            try:
                program = _copied(student, Path(scratch))
            except OSError as error:
                return str(error)
            return self._run(program, Path(scratch))

    def _run(self, program: Path, scratch: Path) -> dict[str, Any] | str:
        (scratch / "tmp").mkdir()
        package = str(Path(loopkit.__file__).parent.parent)
        command = [
            sys.executable,
            "-P",
            "-X",
            "utf8",
            "-c",
            _ALONE,
            package,
            *self._plan.options,
            "--json",
            str(program),
        ]
        with self._lock:
            if self._stopped:
                return "stopped"
            child = subprocess.Popen(
                command,
                cwd=program.parent,
                env={**os.environ, "TMPDIR": str(scratch / "tmp")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
            self._children.add(child)
        try:
            out, err = child.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            child.terminate()
            out, err = child.communicate()
        finally:
            with self._lock:
                self._children.discard(child)
        try:
            result: dict[str, Any] = json.loads(out)
        except ValueError:
            return (err.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        return result


def _disturbed(result: dict[str, Any] | str) -> bool:
    return not isinstance(result, str) and any(check["how"] in _DISTURBED for check in result["checks"])


def _copied(student: Student, scratch: Path) -> Path:
    """The program, in a folder of its own: what it writes beside itself harms nobody."""
    assert student.program is not None
    home = scratch / "homework"
    if student.folder is None:
        home.mkdir()
        return Path(shutil.copy(student.program, home / student.program.name))
    shutil.copytree(student.folder, home, symlinks=True)
    return home / student.program.relative_to(student.folder)
