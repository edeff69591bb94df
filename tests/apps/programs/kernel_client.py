"""Starts an IPython kernel on loopkit, has it execute cells, and stops it."""

import queue
import sys
import time

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

CELL = """
import asyncio, proof
await asyncio.sleep(0.01)
answer = await asyncio.gather(asyncio.sleep(0, 6), asyncio.sleep(0, 7))
print("loop:", proof.loop_name())
answer[0] * answer[1]
"""


class Manager(KernelManager):
    @property
    def kernel_spec(self):
        launcher = ["-m", "loopkit", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        quiet = "--log-level=ERROR"  # it warns that loopback is not encrypted
        return KernelSpec(argv=[sys.executable, *launcher, quiet], display_name="loopkit", language="python")


def outputs(client, code):
    """What the cell printed and what its last line was worth."""
    request = client.execute(code)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") != request:
            continue
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                yield content["text"].strip()
            case "execute_result":
                yield content["data"]["text/plain"]
            case "error":
                yield "\n".join(content["traceback"])
            case "status" if content["execution_state"] == "idle":
                return
    yield "the kernel does not answer"


manager = Manager()
manager.start_kernel()
client = manager.client()
client.start_channels()
try:
    client.wait_for_ready(timeout=30)
    print(*outputs(client, CELL), sep="\n")
    print(*outputs(client, "1 / 0"), sep="\n")
    print(*outputs(client, "answer"), sep="\n")
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=False)
