"""Do aiohttp, httpx, anyio and Starlette's test client talk HTTP and HTTPS on loopkit?"""

import os
import signal

import pytest

from tests.apps.running import ON_LOOPKIT, PROGRAMS, needs, output_of, proof, running

pytestmark = needs("aiohttp", "anyio", "httpx", "starlette", "uvicorn", "websockets")

BODY = os.urandom(2_000_000)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_aiohttp_server_runs_unmodified(scheme, number, connect, certificates):
    from websockets.sync.client import connect as websocket

    tls = certificates.client() if scheme == "https" else None
    keys = [certificates.chain, certificates.key] if tls else []
    with running(*ON_LOOPKIT, "aiohttp_server.py", *keys) as program:
        port = int(program.wait_for(rf"Running on {scheme}://127.0.0.1:(\d+)")[1])
        with connect(port, tls) as client:
            assert client.about() == {"loop": "loopkit.loop.Loop", "scheme": scheme}
            assert client.post("/echo", BODY) == BODY
            assert client.get("/file") == (PROGRAMS / "aiohttp_server.py").read_bytes()
        with websocket(f"{scheme.replace('http', 'ws')}://127.0.0.1:{port}/chat", ssl=tls) as ws:
            ws.send("hello")
            assert ws.recv(timeout=20) == "HELLO"
        program.signal(number)
        assert program.finish() == 0
    assert "cleaned up" in program.output
    assert "Traceback" not in program.output


def test_an_aiohttp_server_takes_a_loop(connect):
    with running("aiohttp_run_app.py") as program:
        with connect(int(program.wait_for(r"Running on http://127.0.0.1:(\d+)")[1])) as client:
            assert client.about()["loop"] == "loopkit.loop.Loop"
        program.signal(signal.SIGTERM)
        assert program.finish() == 0


def test_aiohttp_talks_to_itself(certificates):
    said = output_of(
        *ON_LOOPKIT, "aiohttp_pair.py", certificates.authority, certificates.chain, certificates.key
    )
    assert said == ["echoed: 40", "chat: tikpool", "echoed: 40", "chat: tikpool", proof()]


def test_httpx_and_anyio_are_clients_over_tls(certificates):
    with running(
        *["-m", "uvicorn", "asgi_app:app", "--host", "127.0.0.1", "--port", "0", "--loop", "loopkit:Loop"],
        *["--ssl-certfile", certificates.chain, "--ssl-keyfile", certificates.key],
    ) as server:
        port = server.wait_for(r"running on https://127.0.0.1:(\d+)")[1]
        said = output_of(*ON_LOOPKIT, "http_clients.py", f"https://127.0.0.1:{port}", certificates.authority)
    assert said == [
        "echoed: 20",
        "streamed: ['first;', 'last']",
        "too slow",
        "server: loopkit.loop.Loop",
        "anyio: HTTP/1.1 200 OK",
        proof(),
    ]


def test_anyio_takes_a_loop():
    assert output_of("anyio_run.py") == [
        "b'over tcp'",
        "b'over udp'",
        "None",
        "b'through a process\\n'",
        "SIGUSR1",
        "moved on: True",
        proof(),
    ]


def test_starlettes_test_client_takes_a_loop():
    said = output_of("-W", "ignore", "starlette_test_client.py")  # it would like another HTTP client
    started, *answers, ended = said
    assert started == f"lifespan: started, {proof()}"
    assert answers == ["loopkit.loop.Loop", "True", "loopkit.loop.Loop"]
    assert ended == "lifespan: ended"
