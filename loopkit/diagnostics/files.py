"""Writing what was seen: into a file, in the form that its name asks for, and never over what is not ours; or
on standard error.

A recording holds a program's data: names, addresses, lines of source. So a file is readable by its owner
alone.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .recording import Recording

#: By the file's suffix: what `loopkit trace` can write.
FORMS = (".html", ".json", ".txt")

#: The current directory, before the program has gone elsewhere; empty if there is none.
_begun = ""
with contextlib.suppress(OSError):
    _begun = os.getcwd()


def check_name(name: str) -> Path:
    """The path to write to, wherever the program goes until then.

    Raises ValueError if it has no form of ours, or its directory is not there.
    """
    if Path(name).suffix not in FORMS:
        raise ValueError(f"a trace is written as {', '.join(FORMS)}, not as {name!r}")
    try:
        path = Path(name).absolute()
    except OSError as error:
        raise ValueError(f"cannot write {name}: the current directory: {error.strerror}") from None
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"cannot write {name}: there is no such directory")
    return path


def shown(path: str | Path) -> str:
    """The name of a file for a reader who is where the program was begun."""
    return str(path).removeprefix(f"{_begun}/")


def say(text: str) -> None:
    """Print a line on standard error, if the program has left us one."""
    stderr = sys.stderr
    with contextlib.suppress(OSError, ValueError):
        if stderr is not None and not stderr.closed:
            with contextlib.suppress(io.UnsupportedOperation):  # it is something of the program's
                os.fstat(stderr.fileno())  # what cannot be written stays in the buffer: exit code 120
            print(text, file=stderr, flush=True)


def rendered(recording: Recording, suffix: str) -> str:
    """The text of a file with that suffix."""
    if suffix == ".html":
        from .player import page

        return page(recording)
    if suffix == ".json":
        from .perfetto import trace

        return trace(recording)
    from .listing import listing

    return listing(recording)


def write(recording: Recording, path: Path, *, fresh: bool = False) -> None:
    """Write *recording*, in the form that the suffix of *path* names.

    Args:
        fresh: the file must be a new one, not somebody's link either.

    Raises OSError if it cannot be written; what was written of it is then removed.
    """
    text = rendered(recording, path.suffix)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL | os.O_NOFOLLOW if fresh else os.O_TRUNC)
    fd = os.open(path, flags, 0o600)
    try:
        # A file's name may be no text; a backslash and "udcff" are JSON for what stands for its bytes.
        with open(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except BaseException:
        if path.is_file():  # not /dev/full
            with contextlib.suppress(OSError):
                path.unlink()
        raise
