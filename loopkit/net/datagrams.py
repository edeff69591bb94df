async def create_datagram_endpoint(loop, *a, **k): raise NotImplementedError
