"""The options that stand before a program: ``--poller``, ``--debug``, ``--metrics``, ``--help`` and others.

Written out rather than left to argparse, because it must stop at the first word that belongs to the program,
must not guess abbreviations, and would cost every start what argparse's import costs.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

__all__ = ["Options", "UsageError", "apply", "parse"]


class UsageError(Exception):
    """The command line cannot be obeyed; the text is the one line that the user sees."""


class Options(NamedTuple):
    poller: str | None = None
    debug: bool = False
    quiet: bool = False
    #: What shall hang on the program's loops: variables of the environment (`diagnostics/instruments.py`).
    instruments: tuple[tuple[str, str], ...] = ()


#: Options that stand for such a variable, and what they set it to.
INSTRUMENTS = {
    "--metrics": ("LOOPKIT_METRICS", "print"),
    "--watch": ("LOOPKIT_WATCH", ""),
    "--record": ("LOOPKIT_RECORD", "1"),
    "--agent": ("LOOPKIT_AGENT", "1"),
    "--dump-signal": ("LOOPKIT_DUMP_SIGNAL", ""),
}

#: What those of them need that need something.
NEEDS = {
    "--watch": "the seconds after which a stall is reported, as 0.1",
    "--dump-signal": "the name of a signal, as USR1",
}


def parse(argv: list[str]) -> tuple[Options, list[str]]:
    """Split *argv* into our options and the rest, which begins with ``-m``, ``-c``, ``-`` or a plain word.

    Prints and raises SystemExit(0) for ``--help`` and ``--version``; raises UsageError for unknown options.
    """
    options = Options()
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] != "-" and rest[0][:2] not in ("-m", "-c"):
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name == "--poller":
            if not equals:
                if not rest:
                    raise UsageError("--poller needs a name")
                value = rest.pop(0)
            options = options._replace(poller=value)
        elif name in INSTRUMENTS:
            if name in NEEDS and not equals:
                if not rest:
                    raise UsageError(f"{name} needs {NEEDS[name]}")
                value = rest.pop(0)
            options = options._replace(instruments=(*options.instruments, _instrument(name, value)))
        elif word == "--debug":
            options = options._replace(debug=True)
        elif word in ("-q", "--quiet"):
            options = options._replace(quiet=True)
        elif word in ("-h", "--help"):
            from loopkit.cli import usage

            print(usage(), end="")
            raise SystemExit(0)
        elif word in ("-V", "--version"):
            from loopkit import __version__

            print(f"loopkit {__version__}")
            raise SystemExit(0)
        else:
            raise UsageError(
                f"unknown option {word!r}{_near(name)}; see loopkit --help "
                "(Python's own go before -m loopkit)"
            )
    return options, rest


def _near(word: str) -> str:
    from difflib import get_close_matches

    known = ["--poller", "--debug", "--quiet", "--help", "--version", *INSTRUMENTS]
    near = get_close_matches(word, known, 1, 0.7) if len(word) > 2 else []
    return f" (did you mean {near[0]}?)" if near else ""


def _file(name: str) -> str:
    """The name of a file that a recording can be written to, from wherever the program goes."""
    from loopkit.diagnostics.files import check_name

    try:
        return str(check_name(name))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _instrument(name: str, value: str) -> tuple[str, str]:
    """The variable that an option sets, and its value."""
    variable, usual = INSTRUMENTS[name]
    if name == "--watch":
        from loopkit.diagnostics.stalls import check_limit

        try:
            check_limit(float(value))
        except ValueError:
            raise UsageError(f"--watch needs seconds, from 0.001 to 3600, not {value!r}") from None
        return variable, value
    if name == "--dump-signal":
        from loopkit.diagnostics.dumping import number_of

        try:
            return variable, number_of(value).name
        except ValueError as error:
            raise UsageError(f"--dump-signal: {error}") from None
    if value and name == "--record":
        return variable, _file(value)
    if value:
        raise UsageError(f"{name} takes no value, not {value!r}")
    return variable, usual


def apply(options: Options) -> None:
    """Put *options* into force for this process and, through the environment, for its children.

    Raises UsageError if there is no such poller, or if Python was told to ignore asyncio's debug variable.
    """
    from loopkit.debug import instruments_are_asked_for
    from loopkit.pollers import named

    try:
        named(options.poller)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if options.poller is not None:
        os.environ["LOOPKIT_POLLER"] = options.poller
    if options.instruments and sys.flags.ignore_environment:
        raise UsageError("--metrics and its kin have no effect under python -E or -I, which ignore them")
    os.environ.update(options.instruments)
    if instruments_are_asked_for():
        _check_environment()
    if signal := dict(options.instruments).get("LOOPKIT_DUMP_SIGNAL"):
        _listen_for(signal)
    if options.debug:
        if sys.flags.ignore_environment:
            raise UsageError("--debug has no effect under python -E or -I; use python -X dev instead")
        os.environ["PYTHONASYNCIODEBUG"] = "1"


def _check_environment() -> None:
    """What somebody has put there: no loop could be made."""
    from loopkit.diagnostics.instruments import asked_for

    try:
        asked_for()
    except ValueError as error:
        raise UsageError(str(error)) from None


def _listen_for(signal: str) -> None:
    """From now on, not from the first loop on: until then it would end the program."""
    from loopkit.diagnostics import dump_on_signal

    try:
        dump_on_signal(signal)
    except ValueError as error:
        raise UsageError(f"--dump-signal: {error}") from None
