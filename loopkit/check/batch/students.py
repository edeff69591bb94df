"""Who is there, and which file is whose program."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Student", "find"]

#: What a program is called, in a folder with several: the first of these that is there.
USUAL = {"server": ("server.py", "main.py", "homework.py"), "client": ("client.py", "main.py", "homework.py")}


@dataclass(frozen=True)
class Student:
    """One line of the table.

    ``program`` is None if it could not be told which file it is. ``folder`` is what is copied with it, None
    if it is a file by itself.
    """

    name: str
    program: Path | None
    folder: Path | None = None

    def digest(self) -> str:
        """What changes when any of the files changes."""
        found = hashlib.sha256()
        root = self.folder or self.program
        for path in [root] if root is None or root.is_file() else sorted(root.rglob("*")):
            if path is not None and path.is_file():
                found.update(str(path).encode("utf-8", "surrogateescape") + b"\0")
                found.update(path.read_bytes())
        return found.hexdigest()


def find(paths: list[Path], role: str) -> list[Student]:
    """The students: the entries of the one folder that is named, else what is named.

    Args:
        paths: a folder of programs, or of a folder for each student; or programs and folders.
        role: ``server`` or ``client``: which of several files is looked for.
    """
    if len(paths) == 1 and paths[0].is_dir():
        paths = [path for path in sorted(paths[0].iterdir()) if _is_homework(path)]
    students = [_student(path, role) for path in paths]
    names = [student.name for student in students]
    return [
        student if names.count(student.name) == 1 else _renamed(student, path)
        for student, path in zip(students, paths, strict=True)
    ]


def _renamed(student: Student, path: Path) -> Student:
    """Two students' files have the same name: their folders tell them apart."""
    return Student(f"{path.absolute().parent.name}/{path.name}", student.program, student.folder)


def _is_homework(path: Path) -> bool:
    if path.name.startswith((".", "__")):
        return False
    return path.is_dir() or path.suffix == ".py" or (path.is_file() and os.access(path, os.X_OK))


def _student(path: Path, role: str) -> Student:
    if not path.is_dir():
        return Student(path.stem, path)
    return Student(path.name, _program(path, role), path)


def _program(folder: Path, role: str) -> Path | None:
    scripts = sorted(path for path in folder.glob("*.py") if path.is_file())
    for name in USUAL[role]:
        if folder / name in scripts:
            return folder / name
    named = [path for path in scripts if role in path.stem.lower()]
    for found in (named, scripts):
        if len(found) == 1:
            return found[0]
    return None
