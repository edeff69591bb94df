"""What was found out, for people and for programs."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

from .words import say

if TYPE_CHECKING:
    from .examine import Options, Outcome, Result
    from .server import Server

__all__ = ["as_json", "head", "lines", "nobody", "score"]

#: How wide explanations are, in columns.
WIDTH = 100


def head(result: Result, server: Server, lang: str) -> str:
    """Who was examined."""
    what = say(lang, f"answers.{result.answer}")
    return say(lang, "server", {"where": _where(server), "what": what})


def nobody(server: Server, error: str, lang: str) -> str:
    """That there is no server to examine, because of this *error*, and what to do."""
    return say(lang, "nobody", {"where": _where(server), "error": error})


def lines(outcome: Outcome, options: Options, lang: str) -> list[str]:
    """One check: how it ended, and if not well, how so and what to do.

    One that was skipped takes a single line: there may be a dozen of them, below the one that matters.
    """
    status = say(lang, f"status.{outcome.status}") + "  "
    title, explanation = _title(outcome, options, lang), _explanation(outcome, lang)
    if outcome.status == "skipped":
        return [status + say(lang, "briefly", {"title": title, "how": explanation})]
    indent = " " * _columns(status)
    shown = [status + title]
    if explanation:
        shown += _wrapped(explanation, indent)
    if outcome.status == "fault":
        shown += _wrapped(say(lang, f"{outcome.name}.hint"), indent)
    return shown


def score(result: Result, lang: str) -> str:
    """The last line."""
    values = {"points": result.points, "possible": result.possible}
    return say(lang, "score" if result.points < result.possible else "good", values)


def as_json(result: Result, options: Options, server: Server, lang: str) -> str:
    """Everything, for programs. Texts are in *lang*; names and numbers are the same in each language."""
    checks = [
        {
            "name": outcome.name,
            "status": outcome.status,
            "title": _title(outcome, options, lang),
            "how": outcome.how,
            "text": _explanation(outcome, lang),
            "hint": say(lang, f"{outcome.name}.hint") if outcome.status == "fault" else "",
            "seconds": round(outcome.seconds, 3),
        }
        for outcome in result.outcomes
    ]
    document = {
        "target": result.target,
        "address": list(server.address),
        "answers": result.answer,
        "passed": not result.faults,
        "score": {"points": result.points, "of": result.possible},
        "faults": result.faults,
        "checks": checks,
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
    return say(lang, "because", {"fault": say(lang, f"{outcome.name}.fault"), "how": how})


def _wrapped(text: str, indent: str) -> list[str]:
    """Indented lines. They end at spaces, or between characters that are two columns wide."""
    found, line = [], ""
    for piece in _pieces(text):
        if line and _columns(line + piece.rstrip()) > WIDTH - len(indent):
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
