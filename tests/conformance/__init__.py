"""CPython's own asyncio tests, run against any event loop.

`python -m tests.conformance` prints the score, `--write` puts it into `docs/reference/conformance.md`, and
`test_conformance.py` holds it under pytest. Where to read on:

- `modules.py`     which of CPython's test modules are run;
- `exclusions.txt` the tests that look inside stdlib asyncio instead of at a loop, one reason each;
- `targets.py`     the loops by name;
- `inject.py`      how a loop gets into tests that were written for asyncio's;
- `hooks.py`       what single test modules need beyond that;
- `mocks.py`       what a test mocks inside asyncio, mocked for other loops as well;
- `simulated.py`   the simulated clock that some of the tests drive;
- `worker.py`      the child process that runs one module;
- `parent.py`      starts the workers, watches the clock, collects results;
- `report.py`      tables, for the terminal and for the documentation.
"""
