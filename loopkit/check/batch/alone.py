"""The process in which one program is examined: ``python -P -c ... ARGS``, which is ``loopkit check ARGS``.

Where Linux lets it, it has a network of its own, in which nothing but the loopback exists: two students who
have written down the same port do not meet, and none meets anything else (network_namespaces(7)). It may
write files of a bounded size only, and so may all that it starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import socket
import struct
from pathlib import Path

__all__ = ["isolate", "main"]

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

#: The largest file that a program may write, in bytes.
LARGEST = 256 << 20


def main(argv: list[str]) -> int:
    """What ``loopkit check`` does with these words, alone."""
    isolate()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if hard == resource.RLIM_INFINITY or hard > LARGEST:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
    from loopkit.cli import main as command

    return command(["check", *argv])


def isolate() -> bool:
    """Leave the network; False if this process may not."""
    user, group = os.getuid(), os.getgid()
    if not _unshare(CLONE_NEWNET):
        # Whoever is not root may do it as the root of a name space of his own, in which he stays who he is.
        if not _unshare(CLONE_NEWUSER | CLONE_NEWNET):
            return False
        with contextlib.suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(sock, SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))
    return True


def _unshare(flags: int) -> bool:
    try:
        return bool(ctypes.CDLL(None).unshare(flags) == 0)  # os.unshare() is of Python 3.12
    except (OSError, AttributeError):
        return False
