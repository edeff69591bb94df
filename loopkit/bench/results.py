"""Samples and what they come to: medians, spreads, ratios; to JSON and back."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from loopkit.bench.scenario import METRICS, Metric

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = 1
# The loops to which every other is compared.
CONTROLS = ("asyncio", "uvloop")
# The loop to which the same one with something on is compared, which is called so and a plus.
PLAIN = "loopkit-epoll"


@dataclass
class LoopResult:
    """One loop in one scenario: a sample per round, system calls per operation by name, or how it failed."""

    loop: str
    samples: list[dict[str, float]] = field(default_factory=list)
    failure: str = ""
    syscalls: dict[str, float] = field(default_factory=dict)
    remark: str = ""

    def values(self, key: str) -> list[float]:
        """A figure in every round."""
        return [sample[key] for sample in self.samples if key in sample]

    def median(self, key: str) -> float | None:
        """The median of a figure over the rounds; None if it was not measured or the loop failed."""
        values = self.values(key)
        return statistics.median(values) if values and not self.failure else None

    def spread(self, key: str) -> float | None:
        """Half the distance between the quartiles, relative to the median: 0.02 means about +-2 %."""
        values, middle = self.values(key), self.median(key)
        if middle is None or not middle or len(values) < 2:
            return None
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return (high - low) / 2 / middle


@dataclass
class ScenarioResult:
    """One scenario: a row for each loop."""

    name: str
    title: str
    metric: str
    operation: str
    rows: list[LoopResult] = field(default_factory=list)

    @property
    def measure(self) -> Metric:
        """The figure of merit."""
        return METRICS[self.metric]

    @property
    def controls(self) -> tuple[str, ...]:
        """The loops to which others are compared here."""
        priced = any(row.loop.startswith(f"{PLAIN}+") for row in self.rows)
        return (*CONTROLS, PLAIN) if priced else CONTROLS

    def row(self, loop: str) -> LoopResult | None:
        """The row of a loop, if it took part."""
        return next((row for row in self.rows if row.loop == loop), None)

    def ratio(self, row: LoopResult, control: str) -> float | None:
        """The median of the rounds' ratios to the control: both of a pair were measured within seconds."""
        other = self.row(control)
        if other is None or other.failure or row.failure:
            return None
        pairs = zip(row.values(self.metric), other.values(self.metric), strict=False)
        ratios = [mine / theirs for mine, theirs in pairs if theirs]
        return statistics.median(ratios) if ratios else None


@dataclass
class Report:
    """A whole run: `about` says when, where and how, as plain text by name."""

    about: dict[str, str]
    scenarios: list[ScenarioResult] = field(default_factory=list)

    @property
    def has_figures(self) -> bool:
        """Whether any loop finished any scenario."""
        return any(row.samples and not row.failure for scenario in self.scenarios for row in scenario.rows)

    def to_json(self) -> str:
        """As JSON, with the derived figures for readers that do not want to derive them."""
        document: dict[str, Any] = {"schema": SCHEMA, "about": self.about, "scenarios": []}
        for scenario in self.scenarios:
            entry = asdict(scenario) | {"unit": scenario.measure.unit}
            for row, target in zip(scenario.rows, entry["rows"], strict=True):
                target["median"] = {key: row.median(key) for key in row.samples[0]} if row.samples else {}
                target["spread"] = row.spread(scenario.metric)
                target["ratio"] = {control: scenario.ratio(row, control) for control in scenario.controls}
            document["scenarios"].append(entry)
        return json.dumps(document, indent=1)


def load_report(path: Path) -> Report:
    """Read what `Report.to_json` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such file; the text says why.
    """
    try:
        document = json.loads(path.read_bytes())
        if document["schema"] != SCHEMA:
            raise ValueError(f"{path} has schema {document['schema']}; this loopkit reads {SCHEMA}")
        return Report(document["about"], [_scenario(entry) for entry in document["scenarios"]])
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is no result of `loopkit bench --json` ({type(error).__name__}: {error})"
        ) from None


def _scenario(entry: dict[str, Any]) -> ScenarioResult:
    if entry["metric"] not in METRICS:
        raise KeyError(entry["metric"])
    rows = [
        LoopResult(row["loop"], row["samples"], row["failure"], row["syscalls"], row["remark"])
        for row in entry["rows"]
    ]
    return ScenarioResult(entry["name"], entry["title"], entry["metric"], entry["operation"], rows)
