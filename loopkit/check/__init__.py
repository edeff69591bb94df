"""The homework checker: is this really a server that serves many clients in a single thread?

It starts somebody's server in another process (or is told where one runs), talks to it as good and bad
clients do, looks at it from outside as the kernel lets everybody look, and says in plain words what is wrong.

    words/        everything it says, in English and in Chinese
    process.py    what the kernel tells of a process: descriptors, threads, processor time, where it sleeps
    sockets.py    and of sockets: who listens, what waits in their buffers
    ports.py      a port for a program that takes a while before it binds it
    patience.py   how long to wait, so that a crowded machine changes no verdict
    program.py    a program: started, held, asked where it is, interrupted, killed
    server.py     the server under examination; one of ours, or one that runs already
    talk.py       one client's connection; every wait is bounded
    room.py       what a check can do: clients, what must be answered, a flood
    works.py      the checks, one function each: does it work at all?
    endures.py    ... does it bear difficult clients, and many?
    manners.py    ... what does it leave behind, and want when nobody wants anything?
    checks.py     the table of them: what needs what
    causes.py     why it does not answer
    examine.py    makes them, one fresh server after each fault
    client.py     the same for a client: keyboard, screen, and a server of ours
    client_checks.py   its checks
    report.py     the result as text and as JSON
    batch/        a whole class

The checker uses blocking sockets with time limits and no event loop: it must not share the faults, or the
virtues, of what it examines. Whatever could depend on who is faster is arranged: the program is stopped while
several things are done to it, and continued when all of them are there.
"""

from __future__ import annotations

from .examine import Options, Outcome, Result, examine

__all__ = ["Options", "Outcome", "Result", "examine"]
