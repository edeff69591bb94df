"""Django's bridge from synchronous code: `async_to_sync` starts a loop of its own, the default one."""

from asgiref.sync import async_to_sync
from proof import loop_name


async def which():
    return loop_name()


print("loop:", async_to_sync(which)())
