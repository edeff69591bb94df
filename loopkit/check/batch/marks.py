"""What one student's examinations come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .rubric import Rubric
    from .students import Student

__all__ = ["Mark", "passed"]

#: The worse of two findings on the same check counts: what was seen once is there.
_ORDER = ("fault", "undecided", "skipped", "limited", "passed", "unavailable")


def passed(check: dict[str, Any]) -> bool:
    """Whether a check of a result has passed."""
    return check["status"] in ("passed", "limited")


@dataclass
class Mark:
    """All that is known about one student.

    Args:
        student: who.
        results: the JSON objects of ``loopkit check``, one for each examination.
        problem: why there is none: a name of a text in `words`, and what goes into it.
        before: whether these were made by an earlier command.
    """

    student: Student
    results: list[dict[str, Any]] = field(default_factory=list)
    problem: tuple[str, dict[str, Any]] | None = None
    before: bool = False

    @property
    def checks(self) -> list[dict[str, Any]]:
        """Every check, as the worst of the examinations found it."""
        columns = zip(*(result["checks"] for result in self.results), strict=True)
        return [min(column, key=lambda check: _ORDER.index(check["status"])) for column in columns]

    @property
    def faults(self) -> list[str]:
        """The names of the checks that failed in any of the examinations."""
        return [check["name"] for check in self.checks if check["status"] == "fault"]

    @property
    def undecided(self) -> list[str]:
        """The names of the checks for which the machine had no time."""
        return [check["name"] for check in self.checks if check["how"] == "crowded"]

    @property
    def steady(self) -> bool:
        """Whether all examinations found the same."""
        found = [[(check["name"], check["status"]) for check in result["checks"]] for result in self.results]
        return all(states == found[0] for states in found)

    @property
    def seconds(self) -> float:
        """How long one examination took, on average."""
        total: float = sum(check["seconds"] for result in self.results for check in result["checks"])
        return total / max(1, len(self.results))

    def points(self, rubric: Rubric) -> tuple[float, float]:
        """What it is worth, and what it could be."""
        asked = [check for check in self.checks if check["status"] != "unavailable"]
        possible = sum(rubric.weight(check["name"]) for check in asked)
        got = sum(rubric.weight(check["name"]) for check in asked if passed(check))
        if not rubric.total:
            return got, possible
        return (rubric.total * got / possible if possible else 0.0), rubric.total
