"""`loopkit view`: look at a recording, step by step in the terminal, or turn it into another form."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from loopkit.cli.options import UsageError

if TYPE_CHECKING:
    from loopkit.diagnostics.recording import Recording

USAGE = """\
usage: loopkit view FILE          step through a trace or flight recording, in
                                  the terminal
       loopkit view FILE -o OUT   turn it into a page (.html), a trace (.json)
                                  or text (.txt)
       loopkit view FILE --lint   only what looks wrong; exit code 1 if there
                                  is something

FILE is a .json or .html that loopkit wrote. Without a terminal, or on one that
can do nothing (TERM=dumb), the whole text is printed.
"""


def main(argv: list[str]) -> int:
    """Run the verb. Raises UsageError for a file that is none of ours."""
    from loopkit.diagnostics import files
    from loopkit.diagnostics.tracefile import BadRecording, load

    words, out, lint = [], "", False
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            print(USAGE, end="")
            return 0
        if word == "--lint":
            lint = True
        elif word == "-o":
            if not rest:
                raise UsageError("-o needs a file")
            out = rest.pop(0)
        elif word.startswith("-") and word != "-":
            raise UsageError(f"unknown option {word!r}; see loopkit view --help")
        else:
            words.append(word)
    if len(words) != 1:
        raise UsageError("view needs one file: a trace or a recording that loopkit wrote")
    try:
        recording = load(Path(words[0]))
        if out:
            files.write(recording, files.check_name(out))
            return 0
    except BadRecording as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{error.filename or out}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    if lint:
        return show_findings(recording)
    is_able = os.environ.get("TERM", "dumb") not in ("dumb", "")
    if is_able and os.isatty(0) and os.isatty(1):  # who was started without (<&-) has no sys.stdin
        from loopkit.cli.screen import play

        return play(recording)
    print(files.rendered(recording, ".txt"), end="")
    return 0


def show_findings(recording: Recording) -> int:
    """Print what looks wrong. 1 if anything does."""
    from loopkit.diagnostics.lint import findings

    found = [finding for track in recording.tracks for finding in findings(track)]
    for finding in found:
        print(finding)
    return 1 if found else 0
