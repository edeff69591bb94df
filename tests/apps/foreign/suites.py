"""The suites: what they are, and what they need."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """The tests of one project.

    Attributes:
        name: of the distribution.
        version: of it, and of its tests.
        tests: arguments of pytest, from the root of its source distribution.
        needs: what its tests need besides, as requirements.
        options: arguments of pytest: what its own call has to say, and which tests are left out, as they have
            nothing to do with an event loop, or need what a test machine has not.
    """

    name: str
    version: str
    tests: tuple[str, ...]
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "aiohttp",
            "3.14.5",
            ("tests",),
            (
                *(
                    "blockbuster",
                    "coverage",
                    "freezegun",
                    "isal",
                    "proxy.py",
                    "pytest-aiohttp",
                    "pytest-codspeed",
                ),
                *("pytest-cov", "pytest-mock", "re-assert", "setuptools-git", "trustme", "zlib_ng"),
            ),
            # Pictures of other programs, timings, and a container.
            (
                *("--ignore-glob=*benchmarks*", "--ignore-glob=*autobahn*", "--ignore-glob=*test_leaks*"),
                # Warnings are errors, and pytest-asyncio warns.
                *("-o", "asyncio_default_fixture_loop_scope=function"),
            ),
        ),
        Suite(
            "aiosmtpd",
            "1.4.6",
            ("aiosmtpd/tests",),
            ("pytest-asyncio", "pytest-mock"),
            ("-o", "asyncio_default_fixture_loop_scope=function"),
        ),
        Suite(
            "asyncssh",
            "2.24.1",
            ("tests",),
            ("aiofiles", "bcrypt", "ifaddr", "pyOpenSSL"),
        ),
        Suite("prompt_toolkit", "3.0.53", ("tests",)),
        Suite("telnetlib3", "5.0.1", ("telnetlib3/tests",), ("pexpect", "pytest-asyncio", "trustme")),
        Suite("tornado", "6.6.1", ("tornado/test",)),
    )
}
