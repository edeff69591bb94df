"""A port for a program that takes a while before it binds it.

Whoever asks the kernel for "any port" (`bind` to 0, `connect`) gets one of `ip_local_port_range` (ip(7)), at
random: a port of that range that is free now may be some client's a tenth of a second later, and the program
finds its address in use. Where checkers work side by side, that happened in one of 1,400 starts. So the port
comes from outside the range, where nobody is who did not choose his number. Others who choose as we do see a
name in the kernel's abstract namespace (unix(7)), which goes with the process that holds it.
"""

from __future__ import annotations

import random
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["held_port"]

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

#: Below, only root may bind; well-known services have their place there.
UNPRIVILEGED = 1024


@contextmanager
def held_port(kind: int = socket.SOCK_STREAM) -> Iterator[int]:
    """A free port which no other caller of this, in any process, is given while the context lasts.

    Raises:
        OSError: no port is free.
    """
    for port in _candidates():
        with socket.socket(socket.AF_UNIX) as name, socket.socket(type=kind) as sock:
            try:
                name.bind(f"\0loopkit.port.{port}")
                sock.bind(("", port))  # what a connection of the past still holds is refused, too
            except OSError:
                continue
            sock.close()
            yield port
            return
    # The range is everything, or unknown, or all the rest is taken.
    with socket.socket(type=kind) as sock:
        sock.bind(("", 0))
        found: int = sock.getsockname()[1]
    yield found


def _candidates() -> list[int]:
    """The ports outside the kernel's own choice, as many as are worth a try, in any order."""
    try:
        low, high = map(int, RANGE.read_text().split())
    except OSError:
        return []
    ports = [*range(UNPRIVILEGED, low), *range(high + 1, 65536)]
    return random.sample(ports, min(len(ports), 100))
