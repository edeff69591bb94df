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


#: A fixture, without its decorator, and a test that takes it.
AN_HOUR = """\
async def an_hour():
            await asyncio.sleep(3600)
            yield asyncio.get_running_loop()
            await asyncio.sleep(3600)

        async def test_it(virtual_clock, an_hour):
            assert an_hour is asyncio.get_running_loop()
            assert virtual_clock.now == 3600
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
    source = f"""
        import asyncio
        import pytest_asyncio

        @pytest_asyncio.fixture
        {AN_HOUR}
        async def test_another_is_in_real_time():
            assert "SimLoop" not in repr(asyncio.get_running_loop())
    """
    results(pytester, source, "-o", "asyncio_mode=auto").assert_outcomes(passed=2)


@pytest.mark.timeout(120)
def test_anyios_plugin_runs_tests_in_simulated_time(pytester):
    source = """
        import anyio, asyncio, pytest
        from loopkit.testing import SimLoop

        @pytest.fixture
        def anyio_backend():
            return "asyncio", {"loop_factory": SimLoop}

        @pytest.mark.anyio
        async def test_an_hour():
            begin = asyncio.get_running_loop().time()
            await anyio.sleep(3600)
            assert asyncio.get_running_loop().time() - begin == 3600

        @pytest.mark.anyio
        @pytest.mark.loopkit(seeds=20)
        async def test_marked():
            await anyio.sleep(3600)
    """
    pytest.importorskip("anyio")
    results(pytester, source, "-p", "no:asyncio", "-p", "anyio").assert_outcomes(passed=2)


FIXTURES = """
    import asyncio, pytest, pytest_asyncio

    class Pool:
        def __init__(self, port):
            self.port, self.free = port, []

        async def get(self):
            return self.free.pop() if self.free else await asyncio.open_connection("127.0.0.1", self.port)

    made, closed = [], []

    @pytest.fixture(scope="class")
    def counted():
        yield
        assert len(set(made)) == len(made) == len(closed) == 21

    @pytest_asyncio.fixture
    async def port():
        async def echo(reader, writer):
            writer.write(await reader.readexactly(1))
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        made.append(server)
        yield server.sockets[0].getsockname()[1]
        server.close()
        closed.append(server)

    @pytest.fixture
    def pool(port):
        yield Pool(port)

    @pytest_asyncio.fixture(autouse=True)
    async def an_hour():
        await asyncio.sleep(3600)

    class TestIt:
        @pytest_asyncio.fixture
        async def mine(self):
            return self

        @pytest.mark.loopkit(seeds=20)
        async def test_explored(self, counted, pool, port, mine, tmp_path):
            assert mine is self and pool.port == port and tmp_path.is_dir()
            assert asyncio.get_running_loop().time() >= 3600
            reader, writer = await pool.get()
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            writer.close()

    @pytest.mark.loopkit(level="sleep")
    async def test_broken(pool):
        await asyncio.wait_for(asyncio.sleep(1), 1.5)
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("plugins", PLUGINS)
def test_an_async_fixture_is_made_in_the_loop_of_each_run(pytester, plugins):
    result = results(pytester, FIXTURES, *PLUGINS[plugins], "-k", "explored")
    result.assert_outcomes(passed=1)


@pytest.mark.timeout(120)
def test_a_failure_with_an_async_fixture_is_found_and_replayed(pytester):
    result = results(pytester, FIXTURES, *PLUGINS["strict"], "-k", "broken")
    result.stdout.fnmatch_lines(["*TimeoutError", "level: sleep:*", "*--loopkit-replay=lk1-*"])
    result.stdout.no_fnmatch_line("*NOTE*")
    token = next(line for line in result.outlines if "--loopkit-replay=" in line).rpartition("=")[2]
    again = results(pytester, FIXTURES, *PLUGINS["auto"], "-k", "broken", f"--loopkit-replay={token}")
    again.stdout.fnmatch_lines([f"*--loopkit-replay={token}"])
    assert result.ret == again.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.timeout(120)
def test_async_fixtures_need_no_other_plugin(pytester):
    source = f"""
        import asyncio, pytest

        @pytest.fixture
        {AN_HOUR}
        @pytest.mark.loopkit
        async def test_marked(an_hour):
            assert an_hour is asyncio.get_running_loop()
    """
    results(pytester, source, *PLUGINS["alone"]).assert_outcomes(passed=2)


RACE = """
    import asyncio, pytest

    @pytest.mark.loopkit(seeds=100, level="sleep")
    async def test_race():
        stock = {"items": 1}

        async def buy(delay):
            await asyncio.sleep(delay)
            if stock["items"]:
                await asyncio.sleep(0.0002)
                stock["items"] -= 1

        await asyncio.gather(buy(0.001), buy(0.0015))
        assert stock["items"] >= 0
"""


@pytest.mark.timeout(120)
def test_a_marked_test_is_explored_replayed_and_its_token_kept(pytester):
    plain = ("-p", "no:asyncio", "-p", "no:anyio", "-p", "cacheprovider")
    result = results(pytester, RACE, *plain)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*level: time: it can happen*", "*--loopkit-replay=lk1-*"])
    assert "plugin.py" not in result.stdout.str()
    line = next(line for line in result.outlines if "--loopkit-replay=" in line)
    token = line.rpartition("=")[2]
    replayed = results(pytester, RACE, *plain, f"--loopkit-replay={token}")
    replayed.assert_outcomes(failed=1)
    # With one seed it would not be found: the cache has it.
    again = results(pytester, RACE, *plain, "--loopkit-seeds=1", "--loopkit-seed=3", "--loopkit-level=time")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines([f"*--loopkit-replay={token}"])


@pytest.mark.parametrize("token", ["nonsense", "no.json"])
def test_a_token_that_is_none_is_told_in_a_line_before_any_test_runs(pytester, token):
    wrong = results(pytester, RACE, f"--loopkit-replay={token}")
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    wrong.stderr.fnmatch_lines([f"ERROR: --loopkit-replay: *'{token}'*"])
    wrong.stdout.no_fnmatch_line("*test_race*")


@pytest.mark.timeout(120)
def test_a_failure_is_kept_in_a_file_for_another_machine(pytester):
    plain = ("-p", "no:asyncio", "-p", "no:anyio")
    result = results(pytester, RACE, *plain, "--loopkit-save=failures")
    result.assert_outcomes(failed=1)
    token = next(line for line in result.outlines if "--loopkit-replay=" in line).rpartition("=")[2]
    (kept,) = (pytester.path / "failures").iterdir()
    assert kept.suffix == ".json"
    again = results(pytester, RACE, *plain, f"--loopkit-replay={kept}")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines([f"*--loopkit-replay={token}"])
    unwritable = results(pytester, RACE, *plain, "--loopkit-save=/dev/null/failures")
    unwritable.stdout.fnmatch_lines(["*cannot keep the failure in /dev/null/failures: Not a directory*"])
    unwritable.assert_outcomes(failed=1)


HASHES = """
    import os, pytest

    @pytest.mark.loopkit(seeds=1)
    async def test_it():
        print("hash of a word:", hash("word"))
        assert os.environ["PYTHONHASHSEED"] == "7"
"""


@pytest.mark.timeout(120)
def test_a_seed_of_hashes_starts_pytest_again_with_it(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    plain = ("-p", "no:asyncio", "-p", "no:anyio", "-s")
    lines = [
        {line.rpartition("hash of a word:")[2] for line in result.outlines if "hash of a word:" in line}
        for result in (results(pytester, HASHES, *plain, "--loopkit-hash-seed=7") for _ in range(2))
    ]
    assert len(lines[0] | lines[1]) == 1
    wrong = results(pytester, HASHES, *plain, "--loopkit-hash-seed=x")
    wrong.stderr.fnmatch_lines(["*0 to 4294967295, or random, not 'x'*"])


WRONG = """
    import asyncio, pytest, pytest_asyncio

    @pytest_asyncio.fixture(scope="module")
    async def port():
        server = await asyncio.start_server(print, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        server.close()

    @pytest.mark.loopkit
    async def test_fixture(port):
        await asyncio.open_connection("127.0.0.1", port)

    @pytest.mark.loopkit
    def test_plain():
        pass

    @pytest.mark.loopkit(100)
    async def test_positional():
        pass

    @pytest.mark.loopkit(seed=100)
    async def test_misspelt():
        pass

    @pytest.mark.loopkit(level="deep")
    async def test_level():
        pass
"""


@pytest.mark.timeout(120)
def test_a_marker_that_asks_for_what_there_is_not_says_so(pytester):
    result = results(pytester, WRONG, *PLUGINS["auto"])
    result.assert_outcomes(failed=5)
    result.stdout.fnmatch_lines_random(
        [
            "NOTE: the async fixture port is made once for each module, in another loop*",
            "level: fifo: it fails with nothing varied at all: for that fixture, or an ordinary bug",
            "@pytest.mark.loopkit explores async tests, and test_plain is none: write async def",
            "@pytest.mark.loopkit takes seeds=, first=, level=, * not 100",
            "@pytest.mark.loopkit takes seeds=, first=, level=, * not seed",
            "@pytest.mark.loopkit: level must be one of time, sleep, order, not 'deep'",
        ]
    )
    assert "Traceback" not in result.stdout.str()
