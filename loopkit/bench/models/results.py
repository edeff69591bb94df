"""The figures of one comparison."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

__all__ = ["KINDS", "MODELS", "Comparison", "Row"]

#: Each model stands for a poller of loopkit, in the order in which a course tells of them.
MODELS = ("busy", "select", "poll", "epoll")
KINDS = ("bare", "loopkit")

SCHEMA = 1


@dataclass
class Row:
    """One server.

    Attributes:
        kind: ``bare`` or ``loopkit``.
        model: one of MODELS.
        cost: processor time per answer in seconds, by the number of silent clients.
        idle: share of a core that it wants while all are silent, by the number of clients.
        served: how many clients it could serve, where that has ended before all of them.
        failure: how it ended; empty if it served all.
    """

    kind: str
    model: str
    cost: dict[int, float] = field(default_factory=dict)
    idle: dict[int, float] = field(default_factory=dict)
    served: int = 0
    failure: str = ""


@dataclass
class Comparison:
    """All servers; `about` says when and where, `sizes` with how many silent clients."""

    about: dict[str, str]
    sizes: list[int]
    rows: list[Row] = field(default_factory=list)

    def of(self, kind: str) -> list[Row]:
        """The rows of a kind."""
        return [row for row in self.rows if row.kind == kind]

    def to_json(self) -> str:
        """As JSON; figures in the units of the table, microseconds and percent."""
        rows = [
            {
                "kind": row.kind,
                "model": row.model,
                "cpu_us_per_answer": {str(size): round(cost * 1e6, 2) for size, cost in row.cost.items()},
                "idle_percent": {str(size): round(share * 100, 2) for size, share in row.idle.items()},
                "served": row.served,
                "failure": row.failure,
            }
            for row in self.rows
        ]
        document = {"schema": SCHEMA, "about": self.about, "silent_clients": self.sizes, "servers": rows}
        return json.dumps(document, indent=1)
