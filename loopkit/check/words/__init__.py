"""Everything the checker says, in both languages: name -> (English, Chinese).

    checks.py     what is checked: of each check its title, what its failure means, and advice
    findings.py   how it failed, or what else is to be said of it
    client.py     the same two for the check of a client
    command.py    the frame of a report, help, and what is wrong with a command
    batch.py      the tables of a whole class

A check NAME has a title ``NAME.title``, what its failure means ``NAME.fault``, and advice ``NAME.hint``. How
it failed is a text of its own, put after the fault. Both languages have the same ``{places}`` to fill; the
test of this table holds that.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from loopkit.check.patience import Trouble

from . import batch, checks, client, command, findings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LANGUAGES", "TEXTS", "language", "say"]

LANGUAGES = ("en", "zh")

TEXTS: dict[str, tuple[str, str]] = command.TEXTS | checks.TEXTS | findings.TEXTS | client.TEXTS | batch.TEXTS


def language(wanted: str | None = None) -> str:
    """``en`` or ``zh``: *wanted*, or what the environment asks for, as gettext reads it."""
    if wanted:
        return wanted
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def say(lang: str, name: str, values: Mapping[str, Any] | None = None) -> str:
    """The text called *name*, filled in. Bytes are shown as text, with what cannot be shown escaped."""
    filled = {key: _show(lang, key, value) for key, value in (values or {}).items()}
    return TEXTS[name][LANGUAGES.index(lang)].format(**filled)


def _show(lang: str, key: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return repr(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, Trouble):
        return say(lang, value.how, value.values)
    if isinstance(value, list):
        return say(lang, "and").join(_show(lang, key, item) for item in value)
    if key == "words" and isinstance(value, int):
        return say(lang, "exit-code", {"code": value})
    if key == "check":
        return say(lang, f"{value}.title")
    return value
