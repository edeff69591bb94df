"""Is this what Perfetto and its kin read? The rules of Chrome's trace format that matter to them."""

import json
from collections import defaultdict

PHASES = {"M", "X", "C", "b", "e", "s", "f", "i"}


def check(text):
    """Raise AssertionError at what a reader would misunderstand. Returns the slices by their thread."""
    data = json.loads(text)
    events = data["traceEvents"]
    slices, connections, arrows = defaultdict(list), {}, defaultdict(list)
    for event in events:
        assert event["ph"] in PHASES
        assert isinstance(event["name"], str)
        assert event["name"]
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert isinstance(event["ts"], (int, float))
        if event["ph"] == "X":
            assert event["dur"] >= 0
            slices[event["tid"]].append(event)
        if event["ph"] == "C":
            assert all(isinstance(value, (int, float)) for value in event["args"].values())
        if event["ph"] == "b":
            assert (event["cat"], event["id"]) not in connections
            connections[event["cat"], event["id"]] = event
        if event["ph"] == "e":
            assert connections.pop((event["cat"], event["id"]))["ts"] <= event["ts"]
        if event["ph"] in "sf":
            arrows[event["cat"], event["id"]].append(event)
        if event["ph"] == "i":
            assert event["s"] in "tpg"
    assert not connections, "a connection never ends"
    for begin, end in arrows.values():
        assert (begin["ph"], end["ph"], end["bp"]) == ("s", "f", "e")
        assert begin["ts"] <= end["ts"]
        for side in (begin, end):
            assert any(
                s["ts"] - 0.11 <= side["ts"] <= s["ts"] + s["dur"] + 0.11 for s in slices[side["tid"]]
            ), "an arrow that begins or ends in no slice"
    for found in slices.values():
        check_nesting(found)
    return slices


def check_nesting(slices):
    """Each slice lies within the one that is open when it begins, or after it."""
    stack = []
    for event in sorted(slices, key=lambda event: (event["ts"], -event["dur"])):
        begin, end = event["ts"], event["ts"] + event["dur"]
        while stack and stack[-1] <= begin + 0.11:
            stack.pop()
        assert not stack or end <= stack[-1] + 0.11, "slices overlap"
        stack.append(end)
