"""Waking a loop that sleeps in its poll, from a thread or a signal handler. Knows nothing of the loop.

Facts. A poll only ends early if a descriptor becomes ready. `eventfd(2)` is a counter with a descriptor: one
write and one read of eight bytes, no buffer; where it is missing a socket pair does the same.

Consequence. Between the wake-up and the moment the loop looks, further wake-ups say nothing new: `pending`
swallows them, so that a thread that schedules 10,000 calls makes one system call. The order is what makes
that safe. Others append to the ready queue first and look at `pending` second. The loop empties the counter
first, lowers the flag second, and looks at its ready queue third: whoever found the flag up has appended
before. (The flag first would be wrong: a wake-up between the two steps would be swallowed by the read, and
leave the flag up for ever.)

It must also work from the loop's own thread: a signal handler of Python runs there while the poll is
interrupted. And such a handler may raise, as Ctrl-C does, between the flag and the write, or the read and the
flag: then the flag goes down, for a flag without a wake-up swallows all that follow. One wake-up too many is
harmless.

The descriptor is wrapped in a file object: a thread that comes too late, after `close()`, must fail here and
not write into whatever file has got the number by then.
"""

from __future__ import annotations

import io
import os
import socket
import sys
from typing import Any

ONE = (1).to_bytes(8, sys.byteorder)


class Wakeup:
    __slots__ = ("_is_counter", "_receiver", "_sender", "pending")

    def __init__(self) -> None:
        #: True from a wake-up to the moment the loop has noticed it.
        self.pending = False
        self._receiver: Any
        self._sender: Any
        # Noted, not found out later: by then a program may have put a function in the place of socket.socket.
        self._is_counter = False
        if hasattr(os, "eventfd"):
            try:
                flags = os.EFD_CLOEXEC | os.EFD_NONBLOCK
                self._receiver = self._sender = io.FileIO(os.eventfd(0, flags), "r+")
                self._is_counter = True
            except OSError:
                pass  # a kernel or a sandbox has none; if there is no descriptor left, the pair will say so
        if not self._is_counter:
            self._receiver, self._sender = socket.socketpair()
            self._receiver.setblocking(False)
            self._sender.setblocking(False)

    def fileno(self) -> int:
        return int(self._receiver.fileno())

    def wake(self) -> None:
        """End the poll in progress, or the next one. From any thread; harmless after `close()`."""
        if self.pending:
            return
        try:
            self.pending = True
            if self._is_counter:
                self._sender.write(ONE)
            else:
                self._sender.send(b"\0")
        except (OSError, ValueError):
            # Closed meanwhile (nobody left to wake), or full (then the loop is going to wake anyway).
            pass
        except BaseException:
            self.pending = False
            raise

    def clear(self) -> None:
        """The loop has woken. The counter goes down before the flag: see the head of this file."""
        try:
            if self._is_counter:
                self._receiver.read(8)
            else:
                self._receiver.recv(4096)
        except OSError:
            pass
        finally:
            self.pending = False

    def close(self) -> None:
        self._receiver.close()
        self._sender.close()
