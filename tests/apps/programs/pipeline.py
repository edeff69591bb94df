"""Three processes in a row, their pipes joined by this one; then a shell, and a child that is stopped."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE

from proof import loop_name

UPPER = "import sys\nfor line in sys.stdin: sys.stdout.write(line.upper())"


async def pump(source, sink):
    while data := await source.read(4096):
        sink.write(data)
        await sink.drain()
    sink.close()


async def main():
    first = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "for n in range(20_000): print('line', n)", stdin=DEVNULL, stdout=PIPE
    )
    second = await asyncio.create_subprocess_exec(sys.executable, "-c", UPPER, stdin=PIPE, stdout=PIPE)
    third = await asyncio.create_subprocess_exec("sort", "-r", "-k2n", stdin=PIPE, stdout=PIPE)
    pumps = asyncio.gather(pump(first.stdout, second.stdin), pump(second.stdout, third.stdin))
    out = await third.stdout.read()
    await pumps
    lines = out.decode().splitlines()
    print(len(lines), lines[0], lines[-1], [await child.wait() for child in (first, second, third)])

    shell = await asyncio.create_subprocess_shell(
        "cat; echo oops >&2; exit 3", stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    print(await shell.communicate(b"through the shell"), shell.returncode)

    sleeper = await asyncio.create_subprocess_exec("sleep", "3600")
    sleeper.terminate()
    print(await sleeper.wait())
    print("loop:", loop_name())


asyncio.run(main())
