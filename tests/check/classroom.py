"""``python -m tests.check.classroom FOLDER``: the homework of a class of thirty and more, in each style
and with each fault, and what `loopkit check --batch FOLDER --csv marks.csv` must find.

``python -m tests.check.classroom FOLDER marks.csv`` compares, and ends with 1 if a verdict is wrong.
"""

import csv
import shutil
import sys
from pathlib import Path

from tests.check.examinations import CORRECT, FAULTY, SERVERS, TUTORIAL

COURSE = Path(__file__).parents[2] / "examples" / "course"

# What each of the course's servers is marked by, as it is printed.
PRINTED = {
    "select_as_printed": "runs",
    "epoll_as_printed": "split-characters, slow-reader, descriptors, restart",
}


def expected(path: Path) -> str:
    """The faults that it has, as the table lists them."""
    if path.stem in PRINTED:
        return PRINTED[path.stem]
    if path.stem in ("02_polling", "polling_repaired"):
        return "idle"
    return path.stem.partition("__")[0] if "__" in path.stem else ""


def everybody() -> dict[str, Path]:
    """Who is in the class: name of the student, and his program."""
    course = [path for path in sorted(COURSE.glob("*_*.py")) if path.stem != "polling_as_printed"]
    programs = [*CORRECT, *FAULTY, *course]
    return {f"student-{number:02}": path for number, path in enumerate(programs, 1)}


def write(folder: Path, students: dict[str, Path]) -> None:
    """A folder for each of them, with whatever their program imports from beside itself."""
    for name, path in students.items():
        home = folder / name
        home.mkdir(parents=True)
        shutil.copy(path, home / "server.py")
        for beside in ("good.py", "common.py", "tinyloop.py", "hundred_lines.py"):
            at = {"good.py": SERVERS, "hundred_lines.py": TUTORIAL}.get(beside, path.parent) / beside
            if at.exists():
                shutil.copy(at, home)


def wrong(table: Path, students: dict[str, Path]) -> list[str]:
    """What differs from what they deserve."""
    with table.open(encoding="utf-8-sig", newline="") as file:
        found = {row["student"]: row for row in csv.DictReader(file)}
    told = []
    for name, path in students.items():
        row = found.get(name, {})
        seen = (row.get("faults"), row.get("not decided"), row.get("same each time"))
        if seen != (expected(path), "", "yes"):
            told.append(f"{name} {path.name}: {seen}, and it should be {expected(path)!r}")
    return told


if __name__ == "__main__":
    if len(sys.argv) == 2:
        write(Path(sys.argv[1]), everybody())
    else:
        verdicts = wrong(Path(sys.argv[2]), everybody())
        print(*verdicts, f"{len(everybody())} students, {len(verdicts)} wrong verdicts", sep="\n")
        sys.exit(bool(verdicts))
