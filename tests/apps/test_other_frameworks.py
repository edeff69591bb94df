"""Do Twisted, Scrapy, Sanic, granian, Quart, daphne, urwid, aiomultiprocess and Jupyter run on loopkit?

Each by the one line that docs/howto/use-with-servers-and-frameworks.md gives.
"""

import signal

import pytest

from tests.apps.running import ON_LOOPKIT, needs, output_of, proof, running, wait_until_it_listens
from tests.support.net import free_port

LOOP = "loopkit.loop.Loop"


@needs("twisted")
def test_twisted_is_given_a_loop():
    assert output_of("twisted_echo.py") == ["hello, world.", "42", proof()]


@needs("scrapy")
def test_scrapy_is_told_by_its_settings():
    assert output_of("scrapy_spider.py") == ["page /0", "page /1", proof()]


@needs("urwid")
def test_urwid_is_given_a_loop():
    assert output_of("urwid_app.py", TERM="xterm")[-2:] == ["typed: q", proof()]


@needs("aiomultiprocess")
def test_the_processes_of_aiomultiprocess_are_given_a_loop():
    assert output_of("aiomultiprocess_pool.py") == [f"45 {{'{LOOP}'}}", proof()]


@needs("IPython")
def test_cells_of_ipython_await(tmp_path):
    assert output_of(*ON_LOOPKIT, "ipython_session.py", IPYTHONDIR=str(tmp_path)) == ["42", proof()]


# name -> (the packages, arguments of python with "{port}", the line by which it says that it serves)
SERVERS = {
    "sanic, one process": (["sanic"], ["sanic_app.py", "{port}", "single"], r"Worker ready"),
    "sanic, a spawned worker": (["sanic"], ["sanic_app.py", "{port}"], r"No change needed"),
    "granian": (["granian", "starlette"], ["granian_serve.py", "{port}"], r"lifespan: started"),
    "quart": (["quart"], ["quart_app.py", "{port}"], r"Running on http"),
    "daphne": (
        ["daphne", "starlette"],
        [*ON_LOOPKIT, "-m", "daphne", "asgi_app:app", "-b", "127.0.0.1", "-p", "{port}"],
        r"Listening on TCP",
    ),
}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(arguments, says, marks=needs(*packages), id=name)
        for name, (packages, arguments, says) in SERVERS.items()
    ],
)
def test_a_server_serves(arguments, says, connect):
    port = free_port()
    with running(*(argument.format(port=port) for argument in arguments)) as program:
        program.wait_for(says)
        wait_until_it_listens(port)
        with connect(port) as client:
            assert client.about()["loop"] == LOOP
            assert client.post("/echo", b"x" * 500_000) == b"x" * 500_000
        program.signal(signal.SIGINT)
        program.finish()


@needs("jupyter_server", "ipykernel")
def test_the_jupyter_server_runs_kernels(tmp_path):
    port, token = free_port(), "secret"
    folders = {"HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    options = [f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={token}"]
    options += ["--allow-root", "--no-browser", f"--ServerApp.root_dir={tmp_path}"]
    with running(*ON_LOOPKIT, "notebook_server.py", *options, **folders) as program:
        program.wait_for(proof())
        said = output_of("notebook_client.py", f"http://127.0.0.1:{port}", token)
        assert said == ["status: True", "kernels: 1", "kernels: 0"]
        program.signal(signal.SIGTERM)
        assert program.finish() == 0
