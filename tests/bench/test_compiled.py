"""Does another program as the load find wrong answers, and is it used only where it can do the job?"""

import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import pytest

from loopkit.bench.load import compiled
from loopkit.bench.load.compiled import MARK, Wrk
from loopkit.bench.load.connections import Broken
from loopkit.bench.load.exchanges import EXCHANGES, Exchange, Http
from loopkit.bench.load.jobs import JOBS

FOUND = MARK + '{"requests": 10, "wrong": 0, "broken": 0, "late": 0, "p50": 100.0, "p99": 250.0}'


def test_what_wrk_found_comes_in_seconds() -> None:
    found = compiled.read(f"Running 1s test\n\n{FOUND}\n", "")
    assert found == {"operations": 10, "p50": pytest.approx(0.0001), "p99": pytest.approx(0.00025)}


@pytest.mark.parametrize(
    ("out", "errors", "how"),
    [
        (FOUND.replace('"wrong": 0', '"wrong": 3'), "", "3 wrong answers of 10"),
        (FOUND.replace('"broken": 0', '"broken": 1'), "", "1 broken connections of 10"),
        (FOUND.replace('"late": 0', '"late": 2'), "", "2 answers too late of 10"),
        ("Running 1s test", "unable to connect to 127.0.0.1:1 Connection refused", "Connection refused"),
    ],
)
def test_what_is_no_right_answer_is_a_failure(out: str, errors: str, how: str) -> None:
    with pytest.raises(Broken, match=how):
        compiled.read(out, errors)


def job(address: Any = ("127.0.0.1", 1), **more: Any) -> dict[str, Any]:
    return {"address": address, "transport": "tcp", "connections": 2, "seconds": 0.1, **more}


@pytest.mark.parametrize(
    ("name", "more", "can"),
    [
        ("hello", {}, True),
        ("json", {}, True),
        ("chunks", {}, True),
        ("hello-close", {}, False),
        ("websocket", {}, False),
        ("http2", {}, False),
        ("hello", {"limit": 500}, False),
    ],
)
def test_wrk_does_what_it_can(monkeypatch: pytest.MonkeyPatch, name: str, more: Any, can: bool) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    assert (Wrk.of(job(**more), EXCHANGES[name](0)) is not None) == can


def test_without_wrk_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert Wrk.of(job(), EXCHANGES["hello"](0)) is None


@contextmanager
def answering(body: bytes) -> Iterator[tuple[str, int]]:
    """A server that answers everything with a body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield "127.0.0.1", server.server_port
        finally:
            server.shutdown()
            thread.join()


def real(address: tuple[str, int], exchange: Exchange) -> Wrk:
    wrk = Wrk.of(job(address), exchange)
    if wrk is None:
        pytest.skip("wrk is not on this machine")
    return wrk


@pytest.mark.parametrize("name", ["hello", "json"])
def test_the_real_one_counts_right_answers(name: str) -> None:
    exchange = EXCHANGES[name](0)
    assert isinstance(exchange, Http)
    with answering(exchange.body) as address:
        found = real(address, exchange).run(1)
    assert found["operations"] > 0
    assert 0 < found["p50"] <= found["p99"]


def test_the_real_one_sees_a_wrong_body() -> None:
    with answering(b"Hello, earth") as address, pytest.raises(Broken, match="wrong answers"):
        real(address, EXCHANGES["hello"](0)).run(1)


def test_the_sample_of_a_window_of_wrk_is_like_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    program = tmp_path / "wrk"
    program.write_text(f"#!/bin/sh\necho '{FOUND}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with answering(b"Hello, world") as address:
        talk = job(
            address, exchange="hello", pid=os.getpid(), operation="request", certificate="", warmup=0.01
        )
        sample = JOBS["talk"](talk, lambda: None)
    assert sample["operations"] == 10
    assert {"cpu", "user", "system", "rate", "busy", "load_busy", "p50", "p99"} <= sample.keys()
