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
TUTORIAL = SOURCE / "examples" / "tutorial"
HOMEWORK = SOURCE / "examples" / "homework"

# Seconds: to wait for an answer (of a server that gives none), and for a whole examination.
PATIENCE = 2.0
LIMIT = 100.0

# The command's exit code when it was stopped.
STOPPED = 130

# The file's name says which fault it has; it must have no other.
FAULTY = sorted(SERVERS.glob("*__*.py"))
CORRECT = [SERVERS / "good.py", *sorted(TUTORIAL.glob("[0-9]*.py"))[1:], *sorted(HOMEWORK.glob("[0-9]*.py"))]
BLOCKING = TUTORIAL / "01_blocking.py"


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


def examine(folder: Path, path: Path) -> None:
    """What the command does, without starting Python each time."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        # 200 are a crowd where nothing but time depends on the number; test_command.py asks for more.
        code = check_main(["--json", f"--timeout={PATIENCE}", "--connections=200", "--lang=en", str(path)])
    if code == STOPPED:
        os._exit(code)  # the tests have ended, and the pool that would give this process its next server
    unfinished = folder / f"{path.stem}.part"
    unfinished.write_text(json.dumps([code, json.loads(out.getvalue())]))
    unfinished.rename(folder / f"{path.stem}.json")


def main(folder: Path) -> None:
    os.environ.update(environment())
    with ProcessPoolExecutor(max(3, os.cpu_count() or 1)) as pool:
        list(pool.map(functools.partial(examine, folder), [*FAULTY, *CORRECT, BLOCKING]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
