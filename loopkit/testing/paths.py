"""Names of Unix sockets. The files are real: a program looks at them, sets their mode, removes them."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from .files import failure
from .outside import real_sockets


class Paths:
    """Which simulated socket a path or an abstract name means."""

    def __init__(self) -> None:
        self._files: dict[tuple[int, int], Any] = {}
        self._abstract: dict[bytes, Any] = {}
        self._count = 0

    def bind(self, file: Any, address: Any) -> Any:
        """Let *address* mean *file*. Raises what the kernel raises about the path; returns the name."""
        name = os.fsencode(address)
        if not name or name[:1] == b"\0":
            if not name:
                self._count += 1
                name = b"\0%05x" % self._count
            if name in self._abstract:
                raise failure(errno.EADDRINUSE)
            self._abstract[name] = file
            return name
        # The kernel makes the file, and knows what is wrong with the path.
        with real_sockets(), socket.socket(socket.AF_UNIX, file.type) as maker:
            maker.bind(address)
        stat = os.stat(name)
        if file.mode is not None:
            os.chmod(name, file.mode)
        self._files[stat.st_dev, stat.st_ino] = file
        return os.fsdecode(name)

    def find(self, address: Any) -> Any:
        """The socket that *address* means; None if the file is there but its socket is gone."""
        name = os.fsencode(address)
        if name[:1] == b"\0":
            if name not in self._abstract:
                raise failure(errno.ECONNREFUSED)
            return self._abstract[name]
        stat = os.stat(name)  # raises ENOENT, as connect does
        return self._files.get((stat.st_dev, stat.st_ino))

    def forget(self, file: Any) -> None:
        """*file* is closed: its path stays, and means nobody."""
        self._files = {key: known for key, known in self._files.items() if known is not file}
        self._abstract = {key: known for key, known in self._abstract.items() if known is not file}
