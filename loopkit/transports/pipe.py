async def connect_read_pipe(loop, *a, **k): raise NotImplementedError
async def connect_write_pipe(loop, *a, **k): raise NotImplementedError
