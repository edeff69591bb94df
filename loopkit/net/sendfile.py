async def sendfile(loop, *a, **k): raise NotImplementedError
async def sock_sendfile(loop, *a, **k): raise NotImplementedError
