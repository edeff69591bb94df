async def subprocess_exec(loop, *a, **k): raise NotImplementedError
async def subprocess_shell(loop, *a, **k): raise NotImplementedError
