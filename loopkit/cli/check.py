"""``loopkit check``: is this homework a server that serves many clients in a single thread?"""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from loopkit.check import Options, examine, report
from loopkit.check.server import Program, Running
from loopkit.check.words import LANGUAGES, language, say
from loopkit.cli.options import UsageError

if TYPE_CHECKING:
    from loopkit.check import Outcome
    from loopkit.check.server import Server

__all__ = ["main"]

_USAGE = """\
usage: loopkit check [OPTIONS] PROGRAM [ARGS...]
       loopkit check [OPTIONS] HOST:PORT

Starts a student's server, or connects to one that runs, and says what is wrong with it.
PROGRAM is a Python script, or any executable. All that stands after it is given to it: OPTIONS
come first. {port} in ARGS stands for the port it is given; without it PORT, `server PORT`,
`--port PORT` and nothing at all are tried in turn.
Exit code 0: it passed; 1: it has faults; 2: bad usage.

  --lang zh|en       the language of the messages; default: that of the environment (LANG)
  --json             print the result as one JSON object
  --expect ANSWER    upper or echo; default: whichever it does
  --port PORT        give the program this port; default: a free one
  --timeout SECONDS  how long to wait for an answer; default: 5
  --connections N    how many clients the crowd has; default: 1000
"""

_ADDRESS = re.compile(r"\[?(?P<host>[^\[\]]*?)\]?:(?P<port>\d{1,5})")


class _Chosen(NamedTuple):
    words: list[str]
    options: Options
    lang: str
    as_json: bool
    port: int


def main(argv: list[str]) -> int:
    """Examine a server: 0 if it passed, 1 if it has faults.

    Raises UsageError for what cannot be understood or is not there.
    """
    if argv[:1] in (["-h"], ["--help"]):
        print(_USAGE, end="")
        return 0
    if not sys.platform.startswith("linux"):
        raise UsageError("check needs Linux: it reads from /proc where a process listens")
    chosen = _parse(argv)
    server = _server(chosen)
    # Fourteen lines would not say more; but a program that reads the result gets it in its usual form.
    if not chosen.as_json and isinstance(server, Running):
        error = server.refusal(chosen.options.patience)
        if error:
            print(f"loopkit check: {report.nobody(server, error, chosen.lang)}", file=sys.stderr)
            return 1

    def tell(outcome: Outcome) -> None:
        if not chosen.as_json:
            for line in report.lines(outcome, chosen.options, chosen.lang):
                print(line, flush=True)

    before = {number: signal.signal(number, how) for number, how in _SIGNALS.items()}
    try:
        result = examine(server, " ".join(chosen.words), chosen.options, tell)
    except (KeyboardInterrupt, _Terminated):
        print(f"loopkit check: {say(chosen.lang, 'stopped')}", file=sys.stderr)
        return 130
    finally:
        for number, how in before.items():
            signal.signal(number, how)
    if chosen.as_json:
        print(report.as_json(result, chosen.options, server, chosen.lang))
    else:
        print()
        if server.address[1]:
            print(report.head(result, server, chosen.lang))
        print(report.score(result, chosen.lang))
    return 1 if result.faults else 0


class _Terminated(BaseException):
    pass


def _terminate(*_: Any) -> None:
    raise _Terminated


#: Being terminated must not leave the server behind. And a shell starts what runs in the background with
#: Ctrl-C ignored, which a child would inherit, and be blamed for.
_SIGNALS: dict[int, Any] = {signal.SIGTERM: _terminate, signal.SIGINT: signal.default_int_handler}


def _parse(argv: list[str]) -> _Chosen:
    values = {"lang": "", "expect": "", "port": "0", "timeout": "5", "connections": "1000"}
    rest, as_json = list(argv), False
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if word == "--json":
            as_json = True
        elif word.startswith("--") and name in values:
            if not equals and not rest:
                raise UsageError(f"--{name} needs a value; see loopkit check --help")
            values[name] = value if equals else rest.pop(0)
        else:
            raise UsageError(f"check does not understand {word!r}; see loopkit check --help")
    if not rest:
        raise UsageError("check needs a program or HOST:PORT; see loopkit check --help")
    if values["lang"] and values["lang"] not in LANGUAGES:
        raise UsageError(f"--lang: {values['lang']!r} is none of {', '.join(LANGUAGES)}")
    if values["expect"] not in ("", "upper", "echo"):
        raise UsageError(f"--expect: {values['expect']!r} is neither upper nor echo")
    options = Options(
        values["expect"], _number(values, "connections", 2, 100_000), _number(values, "timeout", 0.1, 600)
    )
    port = _number(values, "port", 0, 65535)
    return _Chosen(rest, options, language(values["lang"]), as_json, port)


def _number(values: dict[str, str], name: str, least: float, most: float) -> Any:
    """A whole number if the least one is whole, else a float."""
    text = values[name]
    try:
        number = int(text) if isinstance(least, int) else float(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise UsageError(f"--{name}: {text!r} is no number from {least:g} to {most:g}")
    return number


def _server(chosen: _Chosen) -> Server:
    target, *arguments = chosen.words
    address = _ADDRESS.fullmatch(target)
    if address and not os.path.exists(target):
        if arguments or chosen.port:
            raise UsageError(f"{target} runs already: it can be given neither arguments nor a port")
        port = int(address["port"])
        if not 0 < port < 65536:
            raise UsageError(f"{target!r}: ports go from 1 to 65535")
        try:
            return Running(address["host"], port)
        except (OSError, UnicodeError) as error:
            raise UsageError(f"{target!r}: {getattr(error, 'strerror', None) or error}") from None
    if not os.path.isfile(target):
        raise UsageError(f"can't find {target!r}: neither a file nor HOST:PORT")
    if not os.access(target, os.R_OK):
        raise UsageError(f"can't read {target!r}: permission denied")
    return Program(chosen.words, chosen.port)
