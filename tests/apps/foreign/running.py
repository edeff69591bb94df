"""One suite on one loop: its source, its environment, and the outcomes of its tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.apps.foreign.suites import Suite

ROOT = Path(__file__).parents[3]

#: What every environment has. Old conftests need pkg_resources, and the warning that it gave before 80.9.
TOOLS = ("pytest>=9", "pytest-timeout", "pytest-xdist", "setuptools<80")

#: Seconds for one test, and for a whole suite on one loop.
PATIENCE = 60
LIMIT = 3600

Outcomes = dict[str, tuple[str, str]]


class Unusable(Exception):
    """The suite cannot be run here; the text says what is the matter."""


def environment(suite: Suite, folder: Path) -> Path:
    """The Python of a virtual environment with *suite*, its needs and this very loopkit."""
    python = (
        folder
        / f"{suite.name}-{suite.version}-{sys.version_info[0]}.{sys.version_info[1]}"
        / "bin"
        / "python"
    )
    if not python.exists():
        _run(sys.executable, "-m", "venv", str(python.parents[1]))
        _run(python, "-m", "pip", "install", "-q", *TOOLS, *suite.needs, f"{suite.name}=={suite.version}")
    _run(python, "-m", "pip", "install", "-q", "--no-deps", "-e", str(ROOT))
    return python


def source(suite: Suite, folder: Path, python: Path) -> Path:
    """The unpacked source distribution of *suite*: wheels have no tests."""
    where = folder / f"{suite.name}-{suite.version}"
    if not where.exists():
        with tempfile.TemporaryDirectory() as downloads:
            _run(
                *(
                    python,
                    "-m",
                    "pip",
                    "download",
                    "-q",
                    "--no-deps",
                    "--no-binary",
                    ":all:",
                    "-d",
                    downloads,
                ),
                f"{suite.name}=={suite.version}",
            )
            (archive,) = Path(downloads).iterdir()
            with tarfile.open(archive) as file:
                file.extractall(folder, filter="data")
        if not where.exists():
            raise Unusable(f"{archive.name} has no folder {where.name}")
    return where


def outcomes(
    suite: Suite, loop: str, python: Path, where: Path, only: list[str], options: list[str]
) -> Outcomes:
    """Test -> (outcome, why), of *suite* on *loop*; only of the tests *only*, if that is not empty."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "outcomes.json"
        settings = {
            "FOREIGN_LOOP": loop,
            "FOREIGN_OUTCOMES": str(results),
            "PYTHONPATH": str(Path(__file__).parent),
        }
        command = [str(python.parent / "pytest"), "-q", "-p", "plugin", "-p", "no:cacheprovider"]
        command += [
            "-o",
            "addopts=",
            f"--timeout={PATIENCE}",
            "--continue-on-collection-errors",
            *suite.options,
            *options,
            *(only or suite.tests),
        ]
        try:
            done = subprocess.run(
                command,
                **{"cwd": where, "env": {**os.environ, **settings}, "timeout": LIMIT, "text": True},
                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
            )
        except subprocess.TimeoutExpired:
            raise Unusable(f"{suite.name} on {loop} was still running after {LIMIT} s") from None
        found = json.loads(results.read_text()) if results.exists() else {}
        if not found:
            raise Unusable(f"{suite.name} on {loop} ended without a result:\n{done.stdout[-3000:]}")
        return {test: tuple(outcome) for test, outcome in found.items()}


def _run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise Unusable(f"{' '.join(map(str, command))} failed:\n{done.stderr[-3000:]}")
