"""Do test suites run on loopkit: by pytest-asyncio's hook, by anyio's plugin, by unittest, and unmodified?

The suites are those of docs/howto/test-with-pytest.md, written to a folder of their own.
"""

import sys
import textwrap

import pytest

from tests.apps.running import ON_LOOPKIT, needs, running

PYTEST = ["-m", "pytest", "-v", "-p", "no:cacheprovider", "--rootdir", "."]


@pytest.fixture
def suite(tmp_path):
    """Write the files of a test suite, run it there, and give back what the runner said."""

    def run(*command, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
        with running(*command, folder=tmp_path) as program:
            code = program.finish()
        assert code == 0, program.output
        return program.output

    return run


TEST = """
    import asyncio
    import pytest
    from proof import loop_name

    @pytest.mark.asyncio
    async def test_echo():
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b""
            writer.close()
        assert loop_name() == "loopkit.loop.Loop"
"""


def test_a_suite_of_pytest_asyncio_runs_unmodified(suite):
    assert "1 passed" in suite(*ON_LOOPKIT, *PYTEST, test_it=TEST)


def test_pytest_asyncios_hook(suite):
    conftest = """
        import loopkit

        def pytest_asyncio_loop_factories(config, item):
            return {"loopkit": loopkit.Loop}
    """
    assert "1 passed" in suite(*PYTEST, conftest=conftest, test_it=TEST)


def test_pytest_asyncios_hook_with_several_loops(suite):
    conftest = """
        import asyncio
        import loopkit

        def pytest_asyncio_loop_factories(config, item):
            loops = {"asyncio": asyncio.SelectorEventLoop, "epoll": loopkit.EpollLoop}
            return {**loops, "select": loopkit.SelectLoop}
    """
    test = """
        import pytest
        from proof import loop_name

        @pytest.mark.asyncio
        async def test_name(request):
            kind = {"asyncio": "SelectorEventLoop", "epoll": "EpollLoop", "select": "SelectLoop"}
            assert loop_name().endswith(kind[request.node.name.split("[")[1].rstrip("]")])

        @pytest.mark.asyncio(loop_factories=["epoll"])
        async def test_one():
            assert loop_name() == "loopkit.loop.EpollLoop"
    """
    assert "4 passed" in suite(*PYTEST, conftest=conftest, test_it=test)


@needs("anyio")
def test_anyios_plugin(suite):
    test = """
        import anyio
        import loopkit
        import pytest
        from proof import loop_name

        @pytest.fixture
        def anyio_backend():
            return ("asyncio", {"loop_factory": loopkit.Loop})

        @pytest.mark.anyio
        async def test_loop():
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0)
            assert loop_name() == "loopkit.loop.Loop"
    """
    assert "1 passed" in suite(*PYTEST, "-p", "no:asyncio", test_it=test)


CASE = """
    import unittest
    import loopkit
    from proof import loop_name

    class TestLoop(unittest.IsolatedAsyncioTestCase):
        {attribute}

        async def asyncSetUp(self):
            self.name = loop_name()

        async def test_loop(self):
            self.assertEqual(self.name, "loopkit.loop.Loop")
            self.assertEqual(loop_name(), "loopkit.loop.Loop")

    unittest.main()
"""


@pytest.mark.skipif(
    sys.version_info < (3, 13), reason="IsolatedAsyncioTestCase.loop_factory came with Python 3.13"
)
def test_unittests_loop_factory(suite):
    assert "OK" in suite("case.py", case=CASE.format(attribute="loop_factory = loopkit.Loop"))


def test_an_isolated_test_case_runs_unmodified(suite):
    assert "OK" in suite(*ON_LOOPKIT, "case.py", case=CASE.format(attribute="pass"))
