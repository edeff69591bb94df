"""The pytest plugin, in a project of its own: with pytest-asyncio in both modes, with anyio, with neither."""

import pytest

pytest_plugins = ("pytester",)

PLUGINS = {
    "alone": ("-p", "no:asyncio", "-p", "no:anyio"),
    "strict": ("-p", "no:anyio", "-o", "asyncio_mode=strict"),
    "auto": ("-p", "no:anyio", "-o", "asyncio_mode=auto"),
    "auto in two processes": ("-p", "no:anyio", "-o", "asyncio_mode=auto", "-n", "2"),
}

PROJECT = """
    import asyncio, pytest

    def is_simulated():
        return "SimLoop" in repr(asyncio.get_running_loop())

    async def test_a_day(virtual_clock):
        await asyncio.sleep(24 * 3600)
        assert virtual_clock.now == asyncio.get_running_loop().time() == 24 * 3600

    class TestIt:
        async def test_a_week(self, virtual_clock):
            await asyncio.sleep(7 * 24 * 3600)

        @pytest.mark.loopkit
        async def test_marked(self):
            assert is_simulated()

    @pytest.fixture
    def number():
        return 5

    @pytest.mark.loopkit
    async def test_marked(number):
        assert number == 5
        assert is_simulated()
        await asyncio.sleep(3600)

    async def test_a_deadlock(virtual_clock):
        await asyncio.Event().wait()

    def test_plain():
        pass
"""


def results(pytester, source, *options):
    pytester.makepyfile(source)
    return pytester.runpytest_subprocess("-p", "no:rerunfailures", "--strict-markers", *options)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("plugins", PLUGINS)
def test_tests_run_in_simulated_time_whoever_else_runs_async_tests(pytester, plugins):
    result = results(pytester, PROJECT, *PLUGINS[plugins])
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*Deadlock: nothing can wake this task*", "*waits for Event*"])


@pytest.mark.timeout(120)
def test_async_fixtures_are_in_the_same_time(pytester):
    source = """
        import asyncio
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def an_hour():
            await asyncio.sleep(3600)
            yield asyncio.get_running_loop()
            await asyncio.sleep(3600)

        async def test_it(virtual_clock, an_hour):
            assert an_hour is asyncio.get_running_loop()
            assert virtual_clock.now == 3600

        async def test_another_is_in_real_time():
            assert "SimLoop" not in repr(asyncio.get_running_loop())
    """
    results(pytester, source, "-o", "asyncio_mode=auto").assert_outcomes(passed=2)
