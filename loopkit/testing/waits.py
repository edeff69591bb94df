"""Who waits for what: the words of a deadlock, from the frames of the tasks that are in it."""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from .loop import SimLoop

#: What is awaited inside these functions: (file, function) -> what to call it; `self` is the thing itself.
PRIMITIVES = {
    ("locks.py", "acquire"): "{kind}",
    ("locks.py", "wait"): "{kind}",
    ("locks.py", "_wait"): "{kind}",
    ("locks.py", "_block"): "{kind}",
    ("queues.py", "get"): "an item of {kind}",
    ("queues.py", "put"): "room in {kind}",
    ("queues.py", "join"): "all of {kind} to be done",
    ("streams.py", "_wait_for_data"): "data for {kind}",
    ("streams.py", "_drain_helper"): "{kind} to take more",
    ("taskgroups.py", "__aexit__"): "the tasks of {kind}",
    ("base_events.py", "serve_forever"): "clients, for ever",
    ("serve.py", "serve_forever"): "clients, for ever",
}

INSIDE = (os.path.dirname(asyncio.__file__) + os.sep, os.path.dirname(os.path.dirname(__file__)) + os.sep)

#: The coroutine in `running.py` in which the program's own runs.
CALLER = "_called"

#: Lock or semaphore -> the tasks that hold it (`outside.py` keeps it while a simulation runs).
holders: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()


def name_of(task: Any) -> str:
    """A task's name, and its coroutine's unless that says the same."""
    if not hasattr(task, "get_coro"):
        return "a task"
    function = getattr(task.get_coro(), "__qualname__", "").rpartition("<locals>.")[2]
    name = task.get_name()
    if name.startswith("Task-") and function:
        number = getattr(task, "number", None)
        return f"{function}#{number}" if number else f"{name} {function}()"
    return str(name)


def callback_name(callback: Any) -> str:
    while hasattr(callback, "func"):
        callback = callback.func
    name = getattr(callback, "__qualname__", type(callback).__name__)
    return str(name).rpartition("<locals>.")[2]


def is_ours(callback: Any) -> bool:
    """Whether *callback*, or coroutine, is asyncio's or ours, and not the program's."""
    while hasattr(callback, "func"):
        callback = callback.func
    code = getattr(callback, "__code__", None) or getattr(callback, "cr_code", None)
    return code is not None and code.co_filename.startswith(INSIDE) and code.co_name != CALLER


def handle_name(handle: Any) -> str:
    """What a handle is going to call."""
    owner = getattr(handle._callback, "__self__", None)
    return name_of(owner) if isinstance(owner, asyncio.Task) else callback_name(handle._callback)


def frames(task: Any) -> list[FrameType]:
    """The frames of *task*, the outermost first."""
    found: list[FrameType] = []
    awaited = task.get_coro()
    while awaited is not None:
        for prefix, link in (("cr", "await"), ("gi", "yieldfrom"), ("ag", "await")):
            frame = getattr(awaited, f"{prefix}_frame", None)
            if frame is not None:
                found.append(frame)
                awaited = getattr(awaited, f"{prefix}_{link}", None)
                break
        else:
            break
    return found


def is_inside(frame: FrameType) -> bool:
    """Whether *frame* is asyncio's or ours, and not the program's."""
    return frame.f_code.co_filename.startswith(INSIDE)


def place(task: Any) -> str:
    """Where the program's own code stands in *task*: file and line."""
    return os.path.basename(full_place(task)) or "not started"


def full_place(task: Any) -> str:
    """The same, with the whole path: for whom looks at the source."""
    own = [frame for frame in frames(task) if not is_inside(frame)]
    return f"{own[-1].f_code.co_filename}:{own[-1].f_lineno}" if own else ""


def wait_of(task: Any) -> tuple[str, Any]:
    """What *task* waits for, in words; and the thing itself, or None."""
    stack = frames(task)
    for frame in reversed(stack):
        code = frame.f_code
        text = PRIMITIVES.get((os.path.basename(code.co_filename), code.co_name))
        if text is not None and is_inside(frame):
            thing = frame.f_locals.get("self")
            callers = [other for other in stack if not is_inside(other)]
            known = _name_in(callers[-1], thing) if callers else ""
            return text.format(kind=f"{type(thing).__name__} {known}".strip()), thing
        if code.co_filename.endswith(os.path.join("net", "sockets.py")):
            return _socket_wait(code.co_name, frame.f_locals.get("sock")), None
        if not is_inside(frame):
            break
    waiter = getattr(task, "_fut_waiter", None)
    if isinstance(waiter, asyncio.Task):
        return f"the end of {name_of(waiter)}", waiter
    children = getattr(waiter, "_children", None)
    if children:
        left = [child for child in children if not child.done()]
        return "the end of " + ", ".join(name_of(child) for child in left), left[0] if left else None
    if stack and stack[-1].f_code.co_name == "_wait" and "fs" in stack[-1].f_locals:
        left = sorted((f for f in stack[-1].f_locals["fs"] if not f.done()), key=name_of)
        return "the end of " + ", ".join(name_of(f) for f in left), left[0] if left else None
    if waiter is None:
        return "its turn", None
    return "a future that nobody has completed", None


def _socket_wait(function: str, sock: Any) -> str:
    text = function.removeprefix("sock_")
    file = getattr(sock, "file", None)
    return f"{text} on {file.tell()}" if file is not None else text


def _name_in(frame: FrameType, thing: Any) -> str:
    """What the program calls *thing* in *frame*: a variable, or an attribute of one."""
    for name, value in frame.f_locals.items():
        if value is thing and name != "self":
            return name
    for name, value in frame.f_locals.items():
        for attribute, inner in getattr(value, "__dict__", {}).items():
            if inner is thing:
                return f"{name}.{attribute}"
    for name, value in frame.f_globals.items():
        if value is thing:
            return name
    return ""


def waiter_of(loop: SimLoop, future: Any) -> str:
    """The task that waits for *future*, or for what waits for it."""
    for task in asyncio.all_tasks(loop):
        if getattr(task, "_fut_waiter", None) is future:
            where = place(task)
            return f"{name_of(task)} ({where})"
    return "a task"


def deadlock(loop: SimLoop) -> str:
    """Why nothing can happen any more: every task, what it waits for, who holds that, and the circle."""
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: (getattr(task, "number", 0), task.get_name()))
    lines = [f"nothing can wake {'this task' if len(tasks) == 1 else f'these {len(tasks)} tasks'}"]
    lines[0] += f", at {loop.time():g} s of virtual time"
    edges: dict[Any, Any] = {}
    for task in tasks:
        text, thing = wait_of(task)
        line = f"  {name_of(task)} at {place(task)} waits for {text}"
        held = [other for other in holders.get(thing, ()) if not other.done()] if _can_be_held(thing) else []
        if held:
            line += ", held by " + ", ".join(name_of(other) for other in held)
            edges[task] = held[0]
        elif isinstance(thing, asyncio.Task):
            edges[task] = thing
        lines.append(line)
    circle = _circle(edges)
    if circle:
        lines.append("  circle: " + " -> ".join(name_of(task) for task in [*circle, circle[0]]))
    pollers = loop.world.pollers
    watched = [file for fd, file in loop.world.files if any(poller.knows(fd, file) for poller in pollers)]
    silent = [f"  {file.tell()}" for file in watched]
    if silent:
        lines += ["sockets that stay silent:", *silent]
    return "\n".join(lines)


def _can_be_held(thing: Any) -> bool:
    return isinstance(thing, (asyncio.Lock, asyncio.Semaphore))


def _circle(edges: dict[Any, Any]) -> list[Any]:
    for start in edges:
        path = [start]
        while path[-1] in edges:
            following = edges[path[-1]]
            if following in path:
                return path[path.index(following) :]
            path.append(following)
    return []
