"""Loops with one fault each, for the tests of the harness."""

import asyncio
import faulthandler
import threading

from .targets import ReferenceLoop


class NeverWakes(ReferenceLoop):
    """A thread's call does not wake it."""

    def _write_to_self(self) -> None:
        pass


class Crashes(ReferenceLoop):
    """Takes the process down when it runs."""

    def run_forever(self) -> None:
        faulthandler.disable()
        faulthandler._sigsegv()


class StaysRunning(ReferenceLoop):
    """Says after it has run that it still does."""

    def run_forever(self) -> None:
        super().run_forever()
        asyncio._set_running_loop(self)


calls = threading.local()


def hands_out_others() -> asyncio.AbstractEventLoop:
    """A factory that makes a loop of the expected type only when it is asked for the first time."""
    first = not hasattr(calls, "made")
    calls.made = True
    return ReferenceLoop() if first else asyncio.unix_events.SelectorEventLoop()
