"""Do ASGI servers serve a Starlette application on loopkit: HTTP, WebSocket, TLS, workers, clean ends?

The ways to tell a server about the loop are those of docs/howto/use-with-servers-and-frameworks.md.
"""

import os
import signal

import pytest

from tests.apps.running import ON_LOOPKIT, needs, running, wait_until_it_listens

pytestmark = needs("gunicorn", "hypercorn", "starlette", "uvicorn", "uvicorn_worker", "websockets")

LOOP = "loopkit.loop.Loop"
BODY = os.urandom(3_000_000)

UVICORN = ["-m", "uvicorn", "asgi_app:app", "--host", "127.0.0.1", "--port", "0"]
UVICORN_SAYS = r"running on https?://127.0.0.1:(\d+)"

GUNICORN = ["-m", "gunicorn", "asgi_app:app", "--bind", "127.0.0.1:0", "--no-control-socket"]
GUNICORN_SAYS = r"Listening at: https?://[\d.]+:(\d+)"

HYPERCORN_SAYS = r"Running on https?://[\w.]+:(\d+)"

# name -> (arguments of python, the line that tells the port)
SERVERS = {
    "uvicorn --loop loopkit:Loop": ([*UVICORN, "--loop", "loopkit:Loop"], UVICORN_SAYS),
    "uvicorn --loop none": ([*ON_LOOPKIT, *UVICORN, "--loop", "none"], UVICORN_SAYS),
    "uvicorn.run": (["uvicorn_run.py"], UVICORN_SAYS),
    "gunicorn -k asgi": ([*ON_LOOPKIT, *GUNICORN, "-k", "asgi", "--asgi-loop", "asyncio"], GUNICORN_SAYS),
    "gunicorn -k a subclass of asgi": (
        [*GUNICORN, "-k", "gunicorn_workers.LoopkitASGIWorker"],
        GUNICORN_SAYS,
    ),
    "gunicorn -k uvicorn-worker": ([*GUNICORN, "-k", "gunicorn_workers.LoopkitUvicornWorker"], GUNICORN_SAYS),
    "hypercorn serve": (["hypercorn_serve.py"], HYPERCORN_SAYS),
    "hypercorn -w 0": (
        [*ON_LOOPKIT, "-m", "hypercorn", "asgi_app:app", "-w", "0", "--bind", "127.0.0.1:0"],
        HYPERCORN_SAYS,
    ),
}


@pytest.fixture(params=SERVERS)
def server(request):
    """A running server and its port."""
    arguments, says = SERVERS[request.param]
    with running(*arguments) as program:
        program.port = int(program.wait_for(says)[1])
        yield program


def check_http(client):
    about = client.about()
    assert about["loop"] == LOOP
    assert client.post("/echo", BODY) == BODY
    assert client.get("/slow") == b"first;last"
    return about


def check_websocket(uri, **options):
    from websockets.sync.client import connect

    with connect(uri, **options) as ws:
        assert ws.recv(timeout=20) == LOOP
        for size in (0, 1, 125, 126, 65_536, 900_000):
            ws.send(BODY[:size])
            assert ws.recv(timeout=20) == BODY[:size]


def test_a_server_serves_and_sigterm_ends_it_after_the_last_answer(server, connect):
    with connect(server.port) as client:
        check_http(client)
    check_websocket(f"ws://127.0.0.1:{server.port}/chat")

    with connect(server.port) as client:
        client.connection.request("GET", "/slow", headers={"Connection": "close"})
        with client.connection.getresponse() as response:
            assert response.read(6) == b"first;"
            server.signal(signal.SIGTERM)
            assert response.read() == b"last"
    assert server.finish() in (0, -signal.SIGTERM)  # uvicorn dies of the signal, once it has cleaned up
    assert "lifespan: ended" in server.output
    assert "Traceback" not in server.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [1, 2])
def test_uvicorn_ends_cleanly_on_signals(workers, number, connect):
    with running(*UVICORN, "--loop", "loopkit:Loop", "--workers", workers) as program:
        port = int(program.wait_for(UVICORN_SAYS)[1])
        if workers == 1:
            assert f"loop: {LOOP}" in program.output
        else:
            for _ in range(workers):  # in any order
                program.wait_for("Application startup complete")
            assert program.output.count(f"lifespan: started, loop: {LOOP}") == workers
        wait_until_it_listens(port)
        with connect(port) as client:
            about = check_http(client)
            assert (about["pid"] == program.pid) == (workers == 1)
        check_websocket(f"ws://127.0.0.1:{port}/chat")
        program.signal(number)
        assert program.finish() in (0, -number)
    assert program.output.count("lifespan: ended") == workers
    assert program.output.count("Finished server process") == workers
    assert "Traceback" not in program.output


def test_tls_is_served_by_uvicorn(connect, certificates):
    keys = ["--ssl-certfile", certificates.chain, "--ssl-keyfile", certificates.key]
    with running(*UVICORN, "--loop", "loopkit:Loop", *keys) as program:
        port = int(program.wait_for(UVICORN_SAYS)[1])
        with connect(port, certificates.client()) as client:
            assert check_http(client)["scheme"] == "https"
        check_websocket(f"wss://127.0.0.1:{port}/chat", ssl=certificates.client())
        program.signal(signal.SIGTERM)
        assert program.finish() in (0, -signal.SIGTERM), program.output
    assert "lifespan: ended" in program.output
    assert "Traceback" not in program.output


@pytest.mark.parametrize(
    "worker",
    [["-k", "gunicorn_workers.LoopkitASGIWorker"], ["-k", "gunicorn_workers.LoopkitUvicornWorker"]],
    ids=["asgi", "uvicorn-worker"],
)
def test_tls_is_served_by_gunicorns_two_workers(worker, connect, certificates):
    keys = ["--certfile", certificates.chain, "--keyfile", certificates.key]
    with running(*GUNICORN, *worker, *keys, "--workers", 2) as program:
        port = int(program.wait_for(GUNICORN_SAYS)[1])
        for _ in range(2):
            program.wait_for(f"lifespan: started, loop: {LOOP}")
        with connect(port, certificates.client()) as client:
            assert check_http(client)["scheme"] == "https"
        program.signal(signal.SIGTERM)
        assert program.finish() == 0
    assert program.output.count("lifespan: ended") == 2
    assert "Traceback" not in program.output


@pytest.mark.parametrize("poller", ["PollLoop", "SelectLoop", "BusyLoop"])
def test_uvicorn_takes_a_loop_of_each_poller(poller, connect):
    with running(*UVICORN, "--loop", f"loopkit:{poller}") as program:
        with connect(int(program.wait_for(UVICORN_SAYS)[1])) as client:
            assert client.about()["loop"] == f"loopkit.loop.{poller}"
            assert client.post("/echo", BODY) == BODY
        program.signal(signal.SIGTERM)
        assert program.finish() in (0, -signal.SIGTERM)
