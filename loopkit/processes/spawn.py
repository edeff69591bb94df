"""Starting child processes: `subprocess_exec` and `subprocess_shell`.

`subprocess.Popen` does the work, in the loop's thread, as under asyncio: it returns when the child has called
exec, within a millisecond or so, and its every keyword is passed on. It closes what a child should not
inherit.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from asyncio.log import logger
from typing import TYPE_CHECKING, Any, TypeVar

from .transport import SubprocessTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..loop import Loop

P = TypeVar("P", bound=asyncio.BaseProtocol)


async def subprocess_exec(
    loop: Loop,
    protocol_factory: Callable[[], P],
    program: Any,
    *args: Any,
    stdin: Any = subprocess.PIPE,
    stdout: Any = subprocess.PIPE,
    stderr: Any = subprocess.PIPE,
    universal_newlines: bool = False,
    shell: bool = False,
    bufsize: int = 0,
    encoding: str | None = None,
    errors: str | None = None,
    text: bool | None = None,
    **kwargs: Any,
) -> tuple[asyncio.SubprocessTransport, P]:
    """Run *program* with the arguments *args*, all str, bytes or paths: (transport, protocol).

    *stdin*, *stdout* and *stderr* are `subprocess.PIPE`, DEVNULL, STDOUT, a file, a descriptor, or None for
    our own; further keywords are those of `subprocess.Popen`. Raises ValueError for keywords that ask for
    text or buffering, and what Popen raises (FileNotFoundError, PermissionError). Cancelled, it kills the
    child and waits for its end.
    """
    _check_streams(universal_newlines, shell, False, bufsize, text, encoding, errors)
    return await _start(
        loop,
        protocol_factory,
        (program, *args),
        f"execute program {program!r}",
        stdin,
        stdout,
        stderr,
        kwargs,
    )


async def subprocess_shell(
    loop: Loop,
    protocol_factory: Callable[[], P],
    cmd: str | bytes,
    *,
    stdin: Any = subprocess.PIPE,
    stdout: Any = subprocess.PIPE,
    stderr: Any = subprocess.PIPE,
    universal_newlines: bool = False,
    shell: bool = True,
    bufsize: int = 0,
    encoding: str | None = None,
    errors: str | None = None,
    text: bool | None = None,
    **kwargs: Any,
) -> tuple[asyncio.SubprocessTransport, P]:
    """Run the command line *cmd* by ``/bin/sh``: (transport, protocol). Otherwise as `subprocess_exec`."""
    if not isinstance(cmd, (bytes, str)):
        raise ValueError("cmd must be a string")
    _check_streams(universal_newlines, shell, True, bufsize, text, encoding, errors)
    kwargs["shell"] = True
    return await _start(
        loop, protocol_factory, cmd, f"run shell command {cmd!r}", stdin, stdout, stderr, kwargs
    )


def _check_streams(
    universal_newlines: bool,
    shell: bool,
    shell_expected: bool,
    bufsize: int,
    text: bool | None,
    encoding: str | None,
    errors: str | None,
) -> None:
    """Raise ValueError for what would make text of the streams, or buffer them."""
    if universal_newlines:
        raise ValueError("universal_newlines must be False")
    if bool(shell) is not shell_expected:
        raise ValueError(f"shell must be {shell_expected}")
    if bufsize != 0:
        raise ValueError("bufsize must be 0")
    if text:
        raise ValueError("text must be False")
    if encoding is not None:
        raise ValueError("encoding must be None")
    if errors is not None:
        raise ValueError("errors must be None")


async def _start(
    loop: Loop,
    protocol_factory: Callable[[], P],
    args: Any,
    what: str,
    stdin: Any,
    stdout: Any,
    stderr: Any,
    kwargs: dict[str, Any],
) -> tuple[asyncio.SubprocessTransport, P]:
    if not hasattr(os, "WNOHANG"):  # Windows: its `waitpid` waits for handles, its pipes cannot be watched
        raise NotImplementedError("this platform has no waitpid() as Unix has; use subprocess in a thread")
    protocol = protocol_factory()
    if loop._debug:
        logger.debug(" ".join([what, *_describe_streams(stdin, stdout, stderr)]))
    process = subprocess.Popen(args, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=0, **kwargs)
    transport = SubprocessTransport(loop, protocol, process)
    if loop._debug:
        # Not the arguments: there may be passwords among them.
        program = args if isinstance(args, (bytes, str)) else args[0]
        logger.debug("process %r created: pid %s", program, process.pid)
    try:
        await transport._connect()
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as exc:
        transport.close()
        if not isinstance(exc, GeneratorExit):  # else: nobody drives us any more
            await transport._wait()
        raise
    if loop._debug:
        logger.info("%s: %r", what, transport)
    return transport, protocol


def _describe_streams(stdin: Any, stdout: Any, stderr: Any) -> list[str]:
    def name(stream: Any) -> str:
        return {subprocess.PIPE: "<pipe>", subprocess.STDOUT: "<stdout>"}.get(stream, repr(stream))

    info = [] if stdin is None else [f"stdin={name(stdin)}"]
    if stdout is not None and stderr == subprocess.STDOUT:
        return [*info, f"stdout=stderr={name(stdout)}"]
    if stdout is not None:
        info.append(f"stdout={name(stdout)}")
    if stderr is not None:
        info.append(f"stderr={name(stderr)}")
    return info
