"""What each check is worth: a file in TOML.

total = 100        # what all of them are worth together; without it, their sum

[weights]
other = 1          # what is not named; without it, 1
runs = 3
crowd = 0          # is shown, and counts nothing
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["BadRubric", "Rubric", "load"]


class BadRubric(Exception):
    """The name of a text in `words`, and what goes into it."""

    def __init__(self, how: str, **values: Any) -> None:
        super().__init__(how, values)
        self.how = how
        self.values = values


@dataclass(frozen=True)
class Rubric:
    """What each check is worth, and all of them; 0 is the sum of those that could be made."""

    weights: dict[str, float] = field(default_factory=dict)
    other: float = 1.0
    total: float = 0.0

    def weight(self, check: str) -> float:
        """What one check is worth, before it is scaled to the total."""
        return self.weights.get(check, self.other)


def load(path: Path, checks: Collection[str]) -> Rubric:
    """Read a rubric. Raises BadRubric for what is no rubric for these *checks*."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadRubric("rubric-unread", file=str(path), error=error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRubric("rubric-unread", file=str(path), error=error) from None
    weights = document.pop("weights", {})
    total = document.pop("total", 0)
    if document or not isinstance(weights, dict):
        raise BadRubric("rubric-unknown", file=str(path), name=next(iter(document), "weights"))
    for name, weight in {"total": total, **weights}.items():
        if name not in ("total", "other", *checks):
            raise BadRubric("rubric-unknown", file=str(path), name=name)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1e9:
            raise BadRubric("rubric-number", file=str(path), name=name, value=weight)
    other = weights.pop("other", 1)
    if not any(weights.get(name, other) for name in checks):
        raise BadRubric("rubric-nothing", file=str(path))
    return Rubric(weights, other, total)
