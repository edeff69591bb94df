"""Which modules of `test.test_asyncio` are run.

Left out are `test_proactor_events`, `test_windows_*` (another system), `test_transports`, `test_protocols`
(they test the abstract base classes and run no loop) and `test_tools` (which runs none either). A module that
the interpreter at hand lacks is passed over.
"""

import importlib.util

# Longest first, so that two workers finish at about the same time.
MODULES = (
    "test_ssl",
    "test_tasks",
    "test_events",
    "test_subprocess",
    "test_sslproto",
    "test_sock_lowlevel",
    "test_base_events",
    "test_sendfile",
    "test_streams",
    "test_unix_events",
    "test_selector_events",
    "test_server",
    "test_buffered_proto",
    "test_futures",
    "test_futures2",
    "test_taskgroups",
    "test_timeouts",
    "test_waitfor",
    "test_runners",
    "test_locks",
    "test_queues",
    "test_context",
    "test_threads",
    "test_pep492",
    "test_eager_task_factory",
    "test_free_threading",
    "test_graph",
    "test_staggered",
)

PACKAGE = "test.test_asyncio"


def available() -> list[str]:
    """The modules of `MODULES` that this interpreter has.

    Raises LookupError, with the way out, when CPython's tests are not installed (most distributions put
    them into a package of their own).
    """
    if importlib.util.find_spec("test") is None or importlib.util.find_spec(PACKAGE) is None:
        raise LookupError(
            f"this interpreter has no {PACKAGE}: install CPython's test suite (Debian: libpython3-testsuite) "
            "or use a Python built from source"
        )
    return [name for name in MODULES if importlib.util.find_spec(f"{PACKAGE}.{name}") is not None]
