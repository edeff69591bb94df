"""What was found out, for people and for programs."""

from __future__ import annotations

import json
import shutil
import unicodedata
from typing import TYPE_CHECKING, Any

from .words import TEXTS, say

if TYPE_CHECKING:
    from .examine import Options, Outcome, Result
    from .server import Server

__all__ = ["as_json", "described", "head", "lines", "nobody", "score", "wrapped"]

#: How wide explanations are at most, in columns; and at least, however narrow the terminal is.
WIDTH = 100
NARROWEST = 20


def head(result: Result, server: Server, lang: str) -> list[str]:
    """Who was examined."""
    what = say(lang, f"answers.{result.answer}")
    return wrapped(say(lang, "server", {"where": _where(server), "what": what}))


def nobody(server: Server, error: str, lang: str) -> str:
    """That there is no server to examine, because of this *error*, and what to do."""
    return say(lang, "nobody", {"where": _where(server), "error": error})


def lines(outcome: Outcome, options: Options, lang: str, *, verbose: bool = False) -> list[str]:
    """One check: how it ended, and if not well, how so and what to do.

    One that was not made takes a single line, if that is wide enough: there may be a dozen of them, below the
    one that matters.
    """
    status = say(lang, f"status.{outcome.status}") + "  "
    indent = " " * _columns(status)
    title, explanation = _title(outcome, options, lang), _explanation(outcome, lang)
    if outcome.status in ("skipped", "undecided"):
        return _below(status, wrapped(say(lang, "briefly", {"title": title, "how": explanation}), indent))
    shown = wrapped(title, indent)
    if explanation:
        shown += wrapped(explanation, indent)
    if outcome.status == "fault":
        shown += wrapped(_hint(outcome, lang), indent)
    if verbose and outcome.errors.strip():
        shown += wrapped(say(lang, "its-errors"), indent)
        shown += [f"{indent}| {line}" for line in outcome.errors.rstrip().splitlines()]
    return _below(status, shown)


def _below(status: str, shown: list[str]) -> list[str]:
    """With the status before the first of these indented lines."""
    return [status + shown[0][_columns(status) :], *shown[1:]]


def score(result: Result, lang: str) -> list[str]:
    """The last lines."""
    values = {"points": result.points, "possible": result.possible}
    return wrapped(say(lang, "score" if result.points < result.possible else "good", values))


def described(outcome: Outcome, options: Options, lang: str) -> dict[str, Any]:
    """One check, for programs. Texts are in *lang*; names and numbers are the same in each language."""
    return {
        "name": outcome.name,
        "status": outcome.status,
        "title": _title(outcome, options, lang),
        "how": outcome.how,
        "cause": outcome.cause,
        "text": _explanation(outcome, lang),
        "hint": _hint(outcome, lang) if outcome.status == "fault" else "",
        "where": outcome.where,
        "stderr": outcome.errors,
        "seconds": round(outcome.seconds, 3),
    }


def as_json(result: Result, options: Options, address: tuple[str, int] | None, lang: str) -> str:
    """Everything, for programs."""
    document = {
        "target": result.target,
        "address": list(address) if address else None,
        "answers": result.answer,
        "passed": not result.faults,
        "score": {"points": result.points, "of": result.possible},
        "faults": result.faults,
        "checks": [described(outcome, options, lang) for outcome in result.outcomes],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _where(server: Server) -> str:
    host, port = server.address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _title(outcome: Outcome, options: Options, lang: str) -> str:
    return say(lang, f"{outcome.name}.title", {"connections": options.connections})


def _explanation(outcome: Outcome, lang: str) -> str:
    if not outcome.how:
        return ""
    how = say(lang, outcome.how, outcome.values)
    if outcome.status != "fault":
        return how
    text = say(lang, "because", {"fault": say(lang, f"{outcome.name}.fault"), "how": how})
    if outcome.where:
        text = say(
            lang, "because-of", {"text": text, "cause": say(lang, "at-line", {"where": outcome.where})}
        )
    if outcome.cause:
        stop = "" if text.endswith((".", "。")) else say(lang, "full-stop")
        text = say(lang, "because-of", {"text": text + stop, "cause": say(lang, outcome.cause)})
    return text


def _hint(outcome: Outcome, lang: str) -> str:
    """Advice: on what was seen to be the cause, or happened, if there is something to say of just that."""
    names = (f"{name}.hint" for name in (outcome.cause, outcome.how, outcome.name))
    return say(lang, next(name for name in names if name in TEXTS))


def wrapped(text: str, indent: str = "") -> list[str]:
    """Indented lines, as wide as the terminal. They end at spaces, or between characters of two columns."""
    width = max(NARROWEST, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns) - len(indent))
    found, line = [], ""
    for piece in _pieces(text):
        if line and _columns(line + piece.rstrip()) > width:
            found.append(indent + line.rstrip())
            line = ""
        line += piece
    return [*found, indent + line.rstrip()]


def _pieces(text: str) -> list[str]:
    """The parts between which a line may end: words with the space after them, Chinese characters."""
    pieces: list[str] = []
    apart = True
    for character in text:
        wide = _columns(character) == 2
        closing = unicodedata.category(character) in ("Po", "Pe")  # no line begins with one of these
        if (pieces and not (apart or wide)) or (pieces and (character.isspace() or (wide and closing))):
            pieces[-1] += character
        else:
            pieces.append(character)
        apart = wide or character.isspace()
    return pieces


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
