"""The homework checker: is this really a server that serves many clients in a single thread?

It starts somebody's server in another process (or is told where one runs), talks to it as good and bad
clients do, looks at it from outside as the kernel lets everybody look, and says in plain words what is wrong.

    words.py      everything it says, in English and in Chinese
    process.py    what the kernel tells of a process: descriptors, threads, processor time, where it listens
    ports.py      a port for a program that takes a while before it binds it
    server.py     the server under examination: started, found, interrupted, killed
    talk.py       one client's connection; every wait is bounded
    checks.py     the checks, one function each, in the order in which they are made
    examine.py    makes them: what needs what, one fresh server after each fault, how it ended
    report.py     the result as text and as JSON

The checker uses blocking sockets with time limits and no event loop: it must not share the faults, or the
virtues, of what it examines.
"""

from __future__ import annotations

from .examine import Options, Outcome, Result, examine

__all__ = ["Options", "Outcome", "Result", "examine"]
