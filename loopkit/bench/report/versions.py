"""Two versions of loopkit that were measured in one run, round by round: is one of them worse?

The rule. In every round both versions ran within seconds of each other, so that what the machine did
meanwhile hit both; the ratio of the two figures is what counts, and the median of the rounds' ratios is the
verdict's figure. Beside it stands the interval in which the true median lies with a probability of 95 %,
which the order of the ratios alone gives (the k-th smallest and the k-th largest, where k is such that a
fair coin falls less than k times in as many throws as there were rounds with a probability of 2.5 % at
most): it asks nothing of how the noise is distributed. A version is worse or better if the whole interval
says so *and* the median is further from 1 than the least change that is worth a word. Everything else is
the same, as far as these rounds can tell.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopkit.bench.report.rows import align, figure

if TYPE_CHECKING:
    from loopkit.bench.results import Report, ScenarioResult

__all__ = ["Verdict", "interval", "judge", "show"]

#: Changes up to this are never called one, however sure they are.
LEAST = 0.02
#: The probability with which the true median lies on one given side of the interval.
TAIL = 0.025


@dataclass(frozen=True)
class Verdict:
    """What became of one scenario.

    Attributes:
        ratio: the median of the rounds' ratios, new to old; None if one of the two has no figure.
        low, high: the interval of the true median.
        text: `same`, `better`, `worse`, or how one of the two failed.
    """

    ratio: float | None
    low: float
    high: float
    text: str

    @property
    def is_worse(self) -> bool:
        """Whether a release should wait."""
        return self.text == "worse" or self.text.startswith("fails now")


def interval(ratios: list[float]) -> tuple[float, float]:
    """Where the true median lies with 95 %; up to five ratios say no more than their smallest and largest."""
    ordered, rounds = sorted(ratios), len(ratios)
    rank = 0
    while sum(math.comb(rounds, heads) for heads in range(rank + 1)) / 2**rounds <= TAIL:
        rank += 1
    rank = max(rank, 1)
    return ordered[rank - 1], ordered[-rank]


def judge(scenario: ScenarioResult, old: str, new: str, least: float = LEAST) -> Verdict:
    """Compare two of a scenario's rows.

    Args:
        scenario: has a row for each.
        old: the name of the older version's row.
        new: that of the newer one's.
        least: the smallest change that counts, as a share.
    """
    before, after = scenario.row(old), scenario.row(new)
    if before is None or after is None or not (before.samples or after.samples):
        return Verdict(None, 0, 0, "not measured")
    if after.failure or before.failure:
        if before.failure and after.failure:
            return Verdict(None, 0, 0, f"both fail: {after.failure}")
        return Verdict(None, 0, 0, f"fails now: {after.failure}" if after.failure else "works now")
    pairs = zip(after.values(scenario.metric), before.values(scenario.metric), strict=False)
    ratios = [mine / theirs for mine, theirs in pairs if theirs]
    if not ratios:
        return Verdict(None, 0, 0, "not measured")
    middle, (low, high) = statistics.median(ratios), interval(ratios)
    if low > 1 and middle > 1 + least:
        return Verdict(middle, low, high, "worse")
    if high < 1 and middle < 1 - least:
        return Verdict(middle, low, high, "better")
    return Verdict(middle, low, high, "same")


def show(report: Report, old: str, new: str) -> tuple[str, bool]:
    """The comparison as text, and whether anything is worse."""
    cells = [["scenario", "old", "new", "new/old", "95% interval", "verdict"]]
    worse = False
    for scenario in report.scenarios:
        verdict = judge(scenario, old, new)
        worse = worse or verdict.is_worse
        rows = [scenario.row(name) for name in (old, new)]
        unit = f" {scenario.measure.unit}"
        cells.append(
            [
                scenario.name,
                *(figure(scenario, row) + unit if row and row.samples else "-" for row in rows),
                "-" if verdict.ratio is None else f"{verdict.ratio:.3f}",
                "-" if verdict.ratio is None else f"{verdict.low:.3f} - {verdict.high:.3f}",
                verdict.text,
            ]
        )
    return "\n".join(align(cells)), worse
