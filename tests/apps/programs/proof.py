"""What every program here tells about itself: the class of the loop that runs it."""

import asyncio


def loop_name() -> str:
    """Module and name of the running loop's class."""
    kind = type(asyncio.get_running_loop())
    return f"{kind.__module__}.{kind.__qualname__}"
