"""The score as text, as JSON and as a page of the documentation."""

import json
import platform
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from . import exclusions
from .parent import ROOT, ModuleScore
from .targets import OURS

PAGE = ROOT / "docs" / "reference" / "conformance.md"

# --- plain text and JSON
# ------------------------------------------------------------------------------------


def as_text(scores: Sequence[ModuleScore]) -> str:
    """A table per loop, then the names of what failed."""
    lines = []
    head = "".join(f"{title:>10}" for title in ("passed", "failed", "excluded", "skipped"))
    for loop in loops(scores):
        own = [score for score in scores if score.loop == loop]
        lines += [f"{loop} on Python {platform.python_version()}", f"  {'module':26}{head}"]
        lines += [f"  {score.module:26}{_counts([score])}" for score in own]
        lines += [f"  {'all':26}{_counts(own)}", ""]
        for score in own:
            lines += [f"  FAILED {test}\n         {reason}" for test, reason in score.failed.items()]
        lines.append("")
    return "\n".join(lines).rstrip()


def loops(scores: Iterable[ModuleScore]) -> list[str]:
    """The loops that these scores are about, in their order."""
    return list(dict.fromkeys(score.loop for score in scores))


def totals(scores: Iterable[ModuleScore]) -> tuple[int, int, int, int]:
    """Passed, failed, excluded and skipped tests of these scores together."""
    counts = [(s.passed, len(s.failed), len(s.excluded), len(s.skipped)) for s in scores]
    passed, failed, excluded, skipped = map(sum, zip(*counts, strict=True))
    return passed, failed, excluded, skipped


def _counts(scores: Sequence[ModuleScore]) -> str:
    return "".join(f"{count:10}" for count in totals(scores))


def as_json(scores: Sequence[ModuleScore]) -> str:
    """Everything but the logs."""
    rows = [{key: value for key, value in asdict(score).items() if key != "log"} for score in scores]
    return json.dumps({"python": platform.python_version(), "scores": rows}, indent=2)


# --- the page ------------------------------------------------------------------------------------

INTRODUCTION = """\
# Conformance

CPython's own asyncio tests (`test.test_asyncio`, as each interpreter ships it) run against loopkit's loops,
against stdlib asyncio's and against uvloop's. The loop under test is really the one that runs: a test that
another loop ran in has failed, and so has a module in which the loop never ran. A test that hangs or takes
the process down is one failed test.

{excluded}

This page is written by `python -m tests.conformance --write`, which replaces the section of the interpreter
it runs on.
"""


def write(scores: Sequence[ModuleScore], page: Path = PAGE) -> None:
    """Put the scores into the section of this Python version; the others stay as they are."""
    title = f"## Python {sys.version_info.major}.{sys.version_info.minor}"
    sections = _sections(page.read_text() if page.exists() else "")
    sections[title] = f"{title}\n\n{as_markdown(scores)}\n"
    versions = sorted(
        sections, key=lambda name: [int(number) for number in re.findall(r"\d+", name)], reverse=True
    )
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join([_introduction(), *(sections[version] for version in versions)]))


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part.rstrip() + "\n" for part in parts}


EXCLUDED = """\
*Excluded* tests are those that call, replace or assert on private parts of stdlib asyncio, the same ones for
every loop: `tests/conformance/exclusions.txt` names each with its reason, {count} in all. {inherent}*Skipped*
ones skip themselves, most because they are for Windows. Stdlib asyncio's loop is injected like any other, so
its column shows that the harness adds no failures of its own.
"""


def _introduction() -> str:
    sentences = [
        f"`{test}` is not run with the {loop} loop: {reason}. "
        for loop in OURS
        for test, reason in exclusions.inherent(loop).items()
    ]
    others = len(exclusions.inherent("uvloop"))
    sentences.append(f"{others} more are excluded for uvloop alone, where mocks do not reach a loop in C. ")
    excluded = EXCLUDED.format(count=len(exclusions.listed()), inherent="".join(sentences))
    return INTRODUCTION.format(excluded=textwrap.fill(excluded, 110, break_on_hyphens=False))


def as_markdown(scores: Sequence[ModuleScore]) -> str:
    """A table with a row per module and a column per loop, and the failures by name."""
    names = loops(scores)
    lines = [
        f"CPython {platform.python_version()}{_versions(names)}.",
        "Passed / failed / excluded, a dash for none.",
        "",
        f"| module | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for module in dict.fromkeys(score.module for score in scores):
        cells = [_cell([s for s in scores if (s.loop, s.module) == (name, module)]) for name in names]
        lines.append(f"| {module} | {' | '.join(cells)} |")
    cells = [f"**{_cell([s for s in scores if s.loop == name])}**" for name in names]
    lines.append(f"| **all** | {' | '.join(cells)} |")
    for name in names:
        lines += _failures(name, [score for score in scores if score.loop == name])
    return "\n".join(lines)


def _versions(names: list[str]) -> str:
    return f", uvloop {metadata.version('uvloop')}" if "uvloop" in names else ""


def _cell(scores: Sequence[ModuleScore]) -> str:
    return " / ".join(str(count) if count else "-" for count in totals(scores)[:3])


def _failures(name: str, scores: Sequence[ModuleScore]) -> list[str]:
    """Failed tests by name; the same test in several classes, for the same reason, is one line."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for score in scores:
        for test, reason in score.failed.items():
            module, _, rest = test.partition(".")
            case, _, method = rest.rpartition(".")
            grouped.setdefault((module, method, _steady(reason)), []).append(case)
    if not grouped:
        return []
    count = sum(len(cases) for cases in grouped.values())
    lines = ["", f"### Failures of {name}", ""]
    if count > len(grouped):
        lines += [f"{count} in all, {len(grouped)} by name: some tests run in several classes.", ""]
    for (module, method, reason), cases in grouped.items():
        name, more = (cases[0], "") if len(cases) == 1 else ("*", f" ({len(cases)} classes)")
        lines.append(f"- `{module}.{name}.{method}`{more}: {reason}")
    return lines


def _steady(reason: str) -> str:
    """A reason without what differs from run to run, as one line of Markdown."""
    reason = re.sub(r"0x[0-9a-f]+", "0x…", reason.partition("\n")[0])
    reason = re.sub(r"/(?:[^\s/'\"]+/)+(?=[^\s/'\"]*)", "…/", reason)  # where this machine has its Python
    reason = re.sub(r"(?<=, )\d{5}(?=\))|(?<=fd=)\d+", "…", reason)
    if len(reason) > 140:
        reason = reason[:140] + "…"
    return f"``{reason}``" if "`" in reason else f"`{reason}`"
