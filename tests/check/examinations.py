"""``python -m tests.check.examinations FOLDER``: examine all servers that the tests know, a file for each."""

import contextlib
import functools
import io
import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from loopkit.cli.check import main as check_main
from tests.cli.commands import SOURCE, environment

SERVERS = Path(__file__).parent / "servers"
CLIENTS = Path(__file__).parent / "clients"
TUTORIAL = SOURCE / "examples" / "tutorial"
HOMEWORK = SOURCE / "examples" / "homework"

# Seconds: to wait for an answer (of a server that gives none), and for a whole examination.
PATIENCE = 2.0
LIMIT = 600.0

# The command's exit code when it was stopped.
STOPPED = 130

# The file's name says which fault it has; it must have no other.
FAULTY = sorted(SERVERS.glob("*__*.py"))
CORRECT = [SERVERS / "good.py", *sorted(TUTORIAL.glob("[0-9]*.py"))[1:], *sorted(HOMEWORK.glob("[0-9]*.py"))]
FAULTY_CLIENTS = sorted(CLIENTS.glob("*__*.py"))
CORRECT_CLIENTS = [CLIENTS / "good.py", *sorted(HOMEWORK.glob("[0-9]*.py"))]
BLOCKING = TUTORIAL / "01_blocking.py"
# A program, and whether it is examined as a client.
TASKS = [(path, False) for path in (*FAULTY, *CORRECT, BLOCKING)] + [
    (path, True) for path in (*FAULTY_CLIENTS, *CORRECT_CLIENTS, BLOCKING)
]


def check(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `loopkit check`."""
    return subprocess.run(
        [sys.executable, "-m", "loopkit", "check", *words],
        cwd=SOURCE,
        env=environment(**({"LANG": "C.UTF-8"} | more)),
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        stdin=subprocess.DEVNULL,
    )


def named(path: Path, client: bool = False) -> str:
    """What the file with the verdict is called."""
    return f"client-{path.stem}.json" if client else f"{path.stem}.json"


def examine(folder: Path, task: tuple[Path, bool]) -> None:
    """What the command does, without starting Python each time."""
    path, client = task
    # 200 are a crowd where nothing but time depends on the number; test_command.py asks for more.
    options = ["--json", f"--timeout={PATIENCE}", "--connections=200", "--lang=en"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = check_main([*options, *(["--client"] if client else []), str(path)])
    if code == STOPPED:
        os._exit(code)  # the tests have ended, and the pool that would give this process its next server
    unfinished = folder / f"{named(path, client)}.part"
    unfinished.write_text(json.dumps([code, json.loads(out.getvalue())]))
    unfinished.rename(folder / named(path, client))


def main(folder: Path) -> None:
    os.environ.update(environment())
    with ProcessPoolExecutor(max(3, os.cpu_count() or 1)) as pool:
        list(pool.map(functools.partial(examine, folder), TASKS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
