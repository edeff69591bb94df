"""What each loop can do, method by method: the source of docs/reference/compatibility.md.

    python -m tests.compatibility           the table of this interpreter, on standard output
    python -m tests.compatibility --write   the page
    python -m tests.compatibility --check   exit code 1 if the page is stale

`probes/` holds small real programs, several per abstract method of asyncio's loop: a keyword, a kind of
socket, a promise of the documentation. `measure.py` runs each of them on each loop in child processes, so
that a crash or a hang is a result like any other. `page.py` makes the table. No cell is written by hand.
"""
