"""aiomonitor, whose own loop runs in a thread, tells of this loop's tasks, and cancels one of them."""

import asyncio
import json
import socket
import urllib.request

import aiomonitor
from proof import loop_name


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def live_tasks():
    with urllib.request.urlopen(f"{web}/api/live-tasks", b"filter=&persistent=false", timeout=20) as response:
        return json.load(response)["tasks"]


def cancel(task_id):
    request = urllib.request.Request(f"{web}/api/task?task_id={task_id}", method="DELETE")
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


async def patient():
    await asyncio.Event().wait()


async def main():
    ports = {"port": free_port(), "webui_port": web_port, "console_enabled": False}
    with aiomonitor.start_monitor(asyncio.get_running_loop(), hook_task_factory=True, **ports):
        task = asyncio.create_task(patient(), name="a patient task")
        await asyncio.sleep(0)
        (found,) = [one for one in await asyncio.to_thread(live_tasks) if one["name"] == "a patient task"]
        print(found["coro"], found["state"])
        await asyncio.to_thread(cancel, found["task_id"])
        try:
            await task
        except asyncio.CancelledError:
            print("cancelled")
    print("loop:", loop_name())


web_port = free_port()
web = f"http://127.0.0.1:{web_port}"
asyncio.run(main())
