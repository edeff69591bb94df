"""Do websockets, tornado, Django, textual, Dask and Jupyter's kernel run on loopkit?"""

import signal

from tests.apps.running import ON_LOOPKIT, needs, output_of, proof, running


@needs("websockets")
def test_a_websockets_chat_runs_unmodified():
    assert output_of(*ON_LOOPKIT, "websockets_chat.py") == [
        "heard: 20 all the same: True",
        "pong: True",
        "server closes: 1001",
        proof(),
    ]


@needs("websockets")
def test_a_websockets_server_is_closed_by_one_of_its_handlers():
    said = [
        "handlers that have ended: 10",
        "the one: hello 1001",
        "the others: {('hello', 1001)}",
        "tasks left: 0",
    ]
    assert output_of("websockets_shutdown.py")[:-1] == said  # on asyncio
    assert output_of(*ON_LOOPKIT, "websockets_shutdown.py") == [*said, proof()]


@needs("tornado")
def test_tornado_uses_the_running_loop():
    assert output_of("tornado_server.py") == [
        "wraps the running loop: True",
        '{\'{"loop": "loopkit.loop.Loop"}\'}',
        "echoed: True",
        "HELLO",
        "tick tick",
        "45",
        proof(),
    ]


@needs("django", "uvicorn")
def test_django_is_served_by_uvicorn(connect):
    with running(
        *["-m", "uvicorn", "django_app:app", "--host", "127.0.0.1", "--port", "0", "--loop", "loopkit:Loop"]
    ) as program:
        with connect(int(program.wait_for(r"running on http://127.0.0.1:(\d+)")[1])) as client:
            assert client.about()["loop"] == "loopkit.loop.Loop"
            assert client.post("/echo", b"x" * 1_000_000) == b"x" * 1_000_000
            assert client.get("/slow") == b"first;last"
            assert client.get("/thread") == b"LOOPKIT.LOOP.LOOP"
        program.signal(signal.SIGTERM)
        assert program.finish() in (0, -signal.SIGTERM)
    assert "Traceback" not in program.output


@needs("django")
def test_djangos_async_to_sync_takes_the_default_loop():
    assert output_of(*ON_LOOPKIT, "django_without_a_server.py") == [proof()]


@needs("textual")
def test_textual_runs_without_a_terminal():
    assert output_of("textual_app.py") == ["hello 1 1", proof(), "App.run: loopkit.loop.Loop"]


@needs("distributed")
def test_a_dask_cluster_in_one_process():
    assert output_of("dask_cluster.py") == [
        "scheduler: True",
        "sum: 328350",
        "workers: ['loopkit.loop.Loop', 'loopkit.loop.Loop']",
        proof(),
    ]


@needs("distributed")
def test_a_dask_cluster_of_processes():
    assert output_of("dask_processes.py") == [
        "sum: 328350",
        proof(),
        "workers: ['loopkit.loop.Loop', 'loopkit.loop.Loop']",
    ]


@needs("ipykernel")
def test_an_ipython_kernel_executes_cells(tmp_path):
    said = output_of("kernel_client.py", IPYTHONDIR=str(tmp_path), JUPYTER_RUNTIME_DIR=str(tmp_path))
    assert said[:2] == [proof(), "42"]
    assert any("ZeroDivisionError" in line for line in said)
    assert said[-1] == "[6, 7]"
