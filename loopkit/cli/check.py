"""``loopkit check``: is this homework a server that serves many clients in a single thread?"""

from __future__ import annotations

import os
import re
import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from loopkit.check import Options, examine, report
from loopkit.check.client import ClientProgram
from loopkit.check.client_checks import examine_client
from loopkit.check.program import Limits
from loopkit.check.server import Running, ServerProgram
from loopkit.check.sockets import owner
from loopkit.check.stopping import Terminated, stoppable
from loopkit.check.words import LANGUAGES, language, say
from loopkit.cli.options import UsageError

if TYPE_CHECKING:
    from loopkit.check import Outcome
    from loopkit.check.server import Server

__all__ = ["main"]

_ADDRESS = re.compile(r"\[?(?P<host>[^\[\]]*?)\]?:(?P<port>\d{1,5})")

#: The options that take a value, and their values when they are left out.
_VALUES = {"lang": "", "expect": "", "port": "0", "timeout": "5", "connections": "1000", "memory": ""}
_CLASS = {"csv": "", "html": "", "rubric": "", "repeat": "1", "jobs": "0"}
_FLAGS = {
    "--client": "client",
    "--batch": "batch",
    "--again": "again",
    "--json": "json",
    "-v": "verbose",
    "--verbose": "verbose",
    "-h": "help",
    "--help": "help",
}

#: Megabytes that each program of a class may have.
MEMORY = 1024

_ANSWERS = ("upper", "echo", "any")


class Chosen(NamedTuple):
    """What the user chose."""

    words: list[str]
    options: Options
    limits: Limits
    lang: str
    flags: frozenset[str]
    port: int
    values: dict[str, str]


def main(argv: list[str]) -> int:
    """Examine a server: 0 if it passed, 1 if it has faults.

    Raises UsageError for what cannot be understood or is not there.
    """
    lang = _language(argv)
    chosen = _parse(argv, lang)
    if "help" in chosen.flags:
        print(say(lang, "usage"), end="")
        return 0
    if not sys.platform.startswith("linux"):
        raise UsageError(say(lang, "needs-linux"))
    _warn_of_options_behind(chosen)
    with stoppable():
        try:
            if "batch" in chosen.flags:
                return _check_class(chosen)
            return _check_client(chosen) if "client" in chosen.flags else _check_server(chosen)
        except (KeyboardInterrupt, Terminated):
            print(f"loopkit check: {say(lang, 'stopped')}", file=sys.stderr)
            return 130


def _check_server(chosen: Chosen) -> int:
    server = _server(chosen)
    as_json = "json" in chosen.flags
    # Eighteen lines would not say more; but a program that reads the result gets it in its usual form.
    if not as_json and isinstance(server, Running):
        error = server.refusal(chosen.options.patience)
        if error:
            print(f"loopkit check: {report.nobody(server, error, chosen.lang)}", file=sys.stderr)
            return 1
    with closing(server):  # which examine() does, too, but a signal may come as that begins
        result = examine(server, " ".join(chosen.words), chosen.options, _teller(chosen))
    if as_json:
        print(report.as_json(result, chosen.options, server.address, chosen.lang))
    else:
        print()
        head = report.head(result, server, chosen.lang) if server.address[1] else []
        print(*head, *report.score(result, chosen.lang), sep="\n")
    return 1 if result.faults else 0


def _check_client(chosen: Chosen) -> int:
    check_file(chosen.words[0], chosen.lang)
    check_port(chosen.port, chosen.lang)
    program = ClientProgram(chosen.words, chosen.port, chosen.limits)
    with closing(program):
        result = examine_client(program, " ".join(chosen.words), chosen.options, _teller(chosen))
    if "json" in chosen.flags:
        print(report.as_json(result, chosen.options, None, chosen.lang))
    else:
        head = report.wrapped(say(chosen.lang, "client", {"program": chosen.words[0]}))
        print("", *head, *report.score(result, chosen.lang), sep="\n")
    return 1 if result.faults else 0


def _check_class(chosen: Chosen) -> int:
    from loopkit.cli.check_batch import Class
    from loopkit.cli.check_batch import main as mark

    values, number = chosen.values, _Numbers(chosen.values, chosen.lang)
    memory = values["memory"] or str(MEMORY)
    options = [f"--{name}={values[name]}" for name in ("timeout", "connections", "expect") if values[name]]
    options += [f"--lang={chosen.lang}", f"--memory={memory}"]
    client = "client" in chosen.flags
    return mark(
        Class(
            chosen.words,
            [*options, *(["--client"] if client else [])],
            chosen.lang,
            client,
            values["csv"],
            values["html"],
            values["rubric"],
            number("repeat", 1, 100),
            number("jobs", 0, 1000),
            "again" in chosen.flags,
        ),
        (KeyboardInterrupt, Terminated),
    )


def _teller(chosen: Chosen) -> Any:
    def tell(outcome: Outcome) -> None:
        if "json" not in chosen.flags:
            shown = report.lines(outcome, chosen.options, chosen.lang, verbose="verbose" in chosen.flags)
            print(*shown, sep="\n", flush=True)

    return tell


# -- The words of the command.


def _language(argv: list[str]) -> str:
    """The language asked for before anything else is understood; English where Chinese cannot be shown."""
    wanted = ""
    for number, word in enumerate(argv):
        if not word.startswith("-"):
            break
        if word.startswith("--lang="):
            wanted = word.partition("=")[2]
        elif word == "--lang":
            wanted = "".join(argv[number + 1 : number + 2])
    lang = language(wanted if wanted in LANGUAGES else None)
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    if lang == "zh" and not _encodes(encoding, "中文"):
        if wanted == "zh":
            print(say("en", "no-chinese", {"encoding": encoding}), file=sys.stderr)
        lang = "en"
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what somebody's program has said may be anything
            stream.reconfigure(errors="backslashreplace")
    return lang


def _encodes(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _parse(argv: list[str], lang: str) -> Chosen:
    def wrong(name: str, **values: Any) -> UsageError:
        return UsageError(say(lang, "see-help", {"what": say(lang, name, values)}))

    values, flags = _VALUES | _CLASS, set()
    rest = list(argv)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if word in _FLAGS:
            flags.add(_FLAGS[word])
        elif word.startswith("--") and name in values:
            if not equals and not rest:
                raise wrong("needs-value", option=f"--{name}")
            values[name] = value if equals else rest.pop(0)
        else:
            raise wrong("not-understood", word=word)
    if not rest and "help" not in flags:
        raise wrong("no-program")
    for name, choices in (("lang", LANGUAGES), ("expect", _ANSWERS)):
        if values[name] and values[name] not in choices:
            told = {"option": f"--{name}", "value": values[name], "choices": ", ".join(choices)}
            raise UsageError(say(lang, "none-of", told))
    _require_fitting(values, flags, lang)
    number = _Numbers(values | {"memory": values["memory"] or "0"}, lang)
    return Chosen(
        rest,
        Options(values["expect"], number("connections", 2, 100_000), number("timeout", 0.1, 600)),
        Limits(memory=number("memory", 0, 1_000_000) << 20),
        lang,
        frozenset(flags),
        number("port", 0, 65535),
        values,
    )


def _require_fitting(values: dict[str, str], flags: set[str], lang: str) -> None:
    """Raise UsageError for options that have no meaning beside each other."""
    batch = "batch" in flags
    for name in (*_CLASS, "again"):
        if not batch and (name in flags or values.get(name, "") != _CLASS.get(name, "")):
            raise UsageError(say(lang, "only-with", {"option": f"--{name}", "other": "--batch"}))
    if batch and ("json" in flags or values["port"] != "0"):
        name = "--json" if "json" in flags else "--port"
        raise UsageError(say(lang, "not-with", {"option": name, "other": "--batch"}))
    if "client" in flags and values["expect"]:
        raise UsageError(say(lang, "not-with", {"option": "--expect", "other": "--client"}))


class _Numbers:
    def __init__(self, values: dict[str, str], lang: str) -> None:
        self._values, self._lang = values, lang

    def __call__(self, name: str, least: float, most: float) -> Any:
        """A whole number if the least one is whole, else a float."""
        text = self._values[name]
        try:
            number = int(text) if isinstance(least, int) else float(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            told = {"option": f"--{name}", "value": text, "least": least, "most": most}
            raise UsageError(say(self._lang, "no-number", told))
        return number


def _warn_of_options_behind(chosen: Chosen) -> None:
    """Options of ours that stand behind the program are the program's, which may be no intention."""
    known = {*_FLAGS, *(f"--{name}" for name in _VALUES | _CLASS)} - {"-v"}
    behind = [word for word in chosen.words[1:] if word.partition("=")[0] in known]
    if behind and not any("{port}" in word or "{host}" in word for word in chosen.words):
        words = say(chosen.lang, "behind", {"words": " ".join(behind)})
        print(f"loopkit check: {words}", file=sys.stderr)


def _server(chosen: Chosen) -> Server:
    target, *arguments = chosen.words
    address = _ADDRESS.fullmatch(target)
    if address and not os.path.exists(target):
        if arguments or chosen.port:
            raise UsageError(say(chosen.lang, "runs-already", {"target": target}))
        port = int(address["port"])
        if not 0 < port < 65536:
            raise UsageError(say(chosen.lang, "no-such-port", {"target": target}))
        try:
            return Running(address["host"], port)
        except (OSError, UnicodeError) as error:
            told = {"target": target, "error": getattr(error, "strerror", None) or error}
            raise UsageError(say(chosen.lang, "no-such-host", told)) from None
    check_file(target, chosen.lang)
    check_port(chosen.port, chosen.lang)
    return ServerProgram(chosen.words, chosen.port, chosen.limits)


def check_file(target: str, lang: str) -> None:
    """Raise UsageError if that is no file that can be read."""
    if not os.path.isfile(target):
        raise UsageError(say(lang, "not-found", {"target": target}))
    if not os.access(target, os.R_OK):
        raise UsageError(say(lang, "not-readable", {"target": target}))


def check_port(port: int, lang: str) -> None:
    """Raise UsageError if somebody has this port."""
    if not port:
        return
    if (pid := owner("", port)) is not None:
        raise UsageError(say(lang, "port-taken-by", {"port": port, "pid": pid}))
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("", port))
        except OSError as error:
            raise UsageError(say(lang, "port-taken", {"port": port, "error": error.strerror})) from None
