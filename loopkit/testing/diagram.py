"""Packets between hosts, drawn as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .trace import Event

#: How many packets are drawn: the last ones.
SHOWN = 30

WIDTH = 24


def packets(events: list[Event]) -> list[tuple[float, str, str, str]]:
    """(when, from, to, what) of every packet between two hosts."""
    found = []
    for event in events:
        if event.kind == "packet":
            target, _, what = event.text.partition(" ")
            if target != event.host:
                found.append((event.when, event.host, target, what))
    return found


def sequence(events: list[Event]) -> list[str]:
    """A sequence diagram as text; nothing if all happened on one host."""
    found = packets(events)
    hosts = list(dict.fromkeys(name for _, source, target, _ in found for name in (source, target)))
    if len(hosts) < 2:
        return []
    lines = [" " * 12 + "".join(f"{host:^{WIDTH}}" for host in hosts).rstrip()]
    for when, source, target, what in found[-SHOWN:]:
        left, right = sorted((hosts.index(source), hosts.index(target)))
        span = (right - left) * WIDTH - 1
        label = what[: span - 4]
        arrow = f"{label:-^{span - 1}}>" if hosts.index(source) == left else f"<{label:-^{span - 1}}"
        cells = " " * (left * WIDTH + WIDTH // 2) + "|" + arrow + "|"
        lines.append(f"{when:>10.6f}  {cells}".rstrip())
    return lines
