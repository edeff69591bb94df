"""Loops with one fault each, for the tests of the harness."""

import asyncio
import faulthandler
import threading
from collections.abc import Callable
from typing import Any

from .targets import ReferenceLoop


class NeverAnswers(ReferenceLoop):
    """What is given to a thread is never done."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        return self.create_future()


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
