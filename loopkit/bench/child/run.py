"""Run an ordinary asyncio program on the loop under test.

    python run.py FACTORY CPUS LIFETIME HEAP PROGRAM ARGS...

A script, not a module of loopkit: see the package's docstring. It imports as little as it can before the
program starts, and leaves `sys.argv`, `sys.path` and `__main__` to the program as Python would have.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


def prepare(cpus: str, lifetime: str, heap: str) -> None:
    """Pin this process, limit its life and set its heap to cold or warm."""
    import signal

    if cpus:
        os.sched_setaffinity(0, [int(cpu) for cpu in cpus.split(",")])
    # SIGALRM kills: even if the harness is killed itself, no server outlives it by more than this.
    signal.alarm(int(lifetime))
    if heap == "warm":
        # glibc serves blocks of 128 KiB and more by mmap, and gives them back by munmap, until a block so
        # served is freed: from then on blocks up to that size come from the heap. A loop that reads into 256
        # KiB pays two or three system calls a read before that moment, and none after it. A long-lived
        # program is warm by luck.
        block = bytearray(1 << 20)
        del block


def load_factory(spec: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The factory that `module:callable` names."""
    from importlib import import_module

    module, _, name = spec.partition(":")
    factory: Callable[[], asyncio.AbstractEventLoop] = getattr(import_module(module), name)
    return factory


def make_default(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Make `asyncio.run(main())` use the factory.

    `asyncio.Runner` looks the function up here at every run, on each version of Python, with policies and
    without.
    """
    import asyncio

    asyncio.events.new_event_loop = factory


def main() -> None:
    spec, cpus, lifetime, heap, program, *arguments = sys.argv[1:]
    prepare(cpus, lifetime, heap)
    sys.argv[:] = [program, *arguments]
    sys.path[0] = os.path.dirname(program)
    if spec:
        make_default(load_factory(spec))
    import runpy

    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
