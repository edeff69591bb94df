"""A program whose copy of loopkit vanishes after its start: argv is what vanishes, when, and the keys.

"preload" loads everything before, "debug" runs in debug mode then, "late" finds out; "chroot" changes the
root instead, and "stays" leaves all as it is.
"""

import asyncio
import os
import shutil
import sys
import tempfile

from everything import do_everything
from proof import loop_name

import loopkit

package, way, *keys = sys.argv[1:]
if not loopkit.__file__.startswith(package):
    raise SystemExit(f"this is another loopkit: {loopkit.__file__}")


async def main(folder):
    print(len(await do_everything(folder, *keys)))
    print("loop:", loop_name())


async def behind_the_wall():
    """What still works where there are no files at all."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    print(await reader.read())
    writer.close()
    server.close()
    await server.wait_closed()
    print("loop:", loop_name())


with tempfile.TemporaryDirectory() as folder:
    if way not in ("late", "stays"):
        loopkit.preload()
    if way == "chroot":
        os.chroot(folder)
        loopkit.run(behind_the_wall())
        os._exit(0)  # without the clean-up of a folder that has become the root
    if way != "stays":
        (shutil.rmtree if os.path.isdir(package) else os.remove)(package)
    loopkit.run(main(folder), debug=way == "debug")
