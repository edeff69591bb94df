"""Other people's loops, by the distribution and module they come in, with their factories.

Nothing but names: `loopkit run` looks at them when the interpreter ends, and may not evaluate a string then,
as a dataclass does (CPython would forget that the program died of Ctrl-C).
"""

#: They take part when they are installed; all but the first without being asked for.
OTHER_LOOPS = {
    "uvloop": "new_event_loop",
    "rloop": "new_event_loop",
    "zuvloop": "new_event_loop",
    "blazio": "new_event_loop",
    "rsloop": "new_event_loop",
    "talyn": "Loop",
    "zloop": "new_event_loop",
    "loopmini": "new_event_loop",
    "winloop": "new_event_loop",
}
