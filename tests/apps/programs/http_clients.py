"""httpx, over asyncio and over anyio, asks a server many things at once, over HTTP/1.1 and TLS."""

import asyncio
import ssl
import sys

import anyio
import httpx
from proof import loop_name


async def ask(url, tls):
    async with httpx.AsyncClient(verify=tls) as client:
        answers = await asyncio.gather(
            *(client.post(f"{url}/echo", content=b"x" * n) for n in range(0, 400_000, 20_000))
        )
        print("echoed:", sum(len(answer.content) == n * 20_000 for n, answer in enumerate(answers)))
        async with client.stream("GET", f"{url}/slow") as response:
            print("streamed:", [part async for part in response.aiter_text()])
        try:
            await client.get(f"{url}/slow", timeout=0.1)
        except httpx.ReadTimeout:
            print("too slow")
        print("server:", (await client.get(url)).json()["loop"])


async def talk_anyio(url):
    """The same server by anyio's own streams."""
    host, port = url.removeprefix("https://").split(":")
    async with await anyio.connect_tcp(
        host, int(port), tls=True, ssl_context=ssl_context, tls_standard_compatible=False
    ) as stream:
        await stream.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        received = b""
        while True:
            try:
                received += await stream.receive()
            except anyio.EndOfStream:
                break
        print("anyio:", received.splitlines()[0].decode())


async def main(url):
    await ask(url, ssl_context)
    await talk_anyio(url)
    print("loop:", loop_name())


url, authority = sys.argv[1:]
ssl_context = ssl.create_default_context(cafile=authority)
asyncio.run(main(url))
