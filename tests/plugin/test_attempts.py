"""What CI relies on where it tries a failed test again: each attempt ends, and is judged by itself."""

from pathlib import Path

import pytest

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.timeout(90)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tried_twice(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def tried_twice(source):
        pytester.makepyfile(source)
        plugins = ("-p", "tests.support.attempts", "-p", "no:asyncio", "-p", "no:xdist")
        return pytester.runpytest_subprocess(*plugins, "--reruns=1", "--timeout=2", "--timeout-method=signal")

    return tried_twice


def test_a_test_that_hangs_twice_ends_twice(tried_twice):
    result = tried_twice("""
        import time

        def test_hangs():
            time.sleep(20)
    """)
    assert result.parseoutcomes() == {"failed": 1, "rerun": 1}


def test_what_hung_once_may_pass_and_keeps_no_time_limit(tried_twice):
    result = tried_twice("""
        import signal, time

        attempts = []

        def test_hangs_once():
            attempts.append(1)
            if len(attempts) == 1:
                time.sleep(20)

        def test_after_it():
            assert signal.getitimer(signal.ITIMER_REAL)[0] <= 2
    """)
    assert result.parseoutcomes() == {"passed": 2, "rerun": 1}


def test_an_attempt_does_not_inherit_that_the_one_before_it_failed(tried_twice):
    result = tried_twice("""
        from tests.support.attempts import FAILED

        def test_fails_once(request):
            assert request.node.stash[FAILED] is False
            request.node.stash[FAILED] = True
            assert request.node.execution_count == 2
    """)
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}
