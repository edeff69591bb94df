"""The player: a recording as one page that opens from a file, needs no network, and is played step by step.

The page is put together from the files beside this one. `words.js` has what it says in English and in
Chinese, `model.js` reads the recording (in the form that `tracefile.py` describes), `lanes.js` draws,
`player.js` listens.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING

from ..lint import findings
from ..tracefile import MARK, encode

if TYPE_CHECKING:
    from ..recording import Recording

SCRIPTS = ("words.js", "model.js", "lanes.js", "player.js")


def page(recording: Recording) -> str:
    """The whole page."""
    data = encode(recording)
    for loop, track in zip(data["loops"], recording.tracks, strict=True):
        loop["findings"] = [
            [
                found.kind,
                found.text,
                "" if found.place is None else f"{found.place.file}:{found.place.line}",
                found.number,
                list(found.parts),
            ]
            for found in findings(track)
        ]
    # Nothing in a program's names can end the element that holds them.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    scripts = "".join(_part(name) for name in SCRIPTS)
    return (
        _part("page.html")
        .replace("/*STYLE*/", _part("style.css"))
        .replace("/*SCRIPT*/", scripts)
        .replace("<!--RECORDING-->", f"{MARK}{text}</script>")
    )


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
