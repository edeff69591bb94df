"""What the fd table says of one number, and whether all of it holds together."""

import os
from pathlib import Path
from select import POLLIN, POLLOUT

from loopkit.watches import deref


def armed(tables, fd):
    """The mask that the poller has for *fd*; 0: none."""
    entry = tables.entries.get(fd)
    return 0 if entry is None else entry.armed


def is_read(tables, fd):
    """Whether somebody waits for *fd* to be readable."""
    return tables.reader(fd) is not None


def is_written(tables, fd):
    """Whether somebody waits for *fd* to be writable."""
    return tables.writer(fd) is not None


def checked(take):
    """`Watches.take`, whose poll first looks whether the turn that has ended left all as it should be."""

    def checked_take(tables, poller):
        take(tables, poller)
        ask = tables.poll

        def poll(timeout):
            check_invariants(tables, timeout != 0)
            return ask(timeout)

        tables.poll = poll

    return checked_take


def check_invariants(tables, thoroughly=True, tidy=True):
    """Raise AssertionError unless what the head of `watches.py` promises is so, after a turn."""
    for fd, entry in tables.entries.items():
        used = entry.armed or entry.wanted() or entry.owner is not None or entry.guest is not None
        assert used or not tidy, f"the entry of fd {fd} is nobody's"
        assert entry.armed & ~(POLLIN | POLLOUT) == 0, f"fd {fd} is armed for {entry.armed}"
        owner = deref(entry.owner)
        sock = getattr(owner, "_socket", None)
        if sock is not None and sock.fileno() != -1:
            assert sock.fileno() == fd, f"the entry of fd {fd} has outlived {owner!r}"
    if thoroughly:
        _check_armed(tables)


def _check_armed(tables):
    """What epoll has, by the kernel's own account, is what the table says; but for what is dead there."""
    fileno = getattr(getattr(tables.poller, "_epoll", None), "fileno", None)
    if fileno is None:
        return
    try:
        lines = Path(f"/proc/self/fdinfo/{fileno()}").read_text().splitlines()
    except OSError:
        return  # no descriptor to spare
    known = {}  # a number may be there twice: its own file's, and that of a file which lives on elsewhere
    for words in map(str.split, lines):
        if words and words[0] == "tfd:":
            known.setdefault(int(words[1]), set()).add(int(words[3], 16) & (POLLIN | POLLOUT))
    for fd, entry in tables.entries.items():
        if entry.armed and _is_open(fd) and entry.owner is not None:
            assert entry.armed in known.get(fd, ()), (fd, entry.armed, known.get(fd))


def _is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
