"""Real applications as scenarios: other people's servers and clients, each where the loop under test runs.

Of a server the load drives one process and checks every answer; a client measures itself against a server
that is not under test. Nothing here is installed with loopkit: what is missing is left out with a line.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from loopkit.bench import peers
from loopkit.bench.scenario import Scenario

__all__ = ["APPS", "EXTRA", "missing"]

#: What brings the libraries.
EXTRA = "loopkit-asyncio[bench-apps]"


def _server(name: str, title: str, exchange: str, *needs: str, app: str = "") -> Scenario:
    program = ("apps.py", "--app", app or name)
    return Scenario(
        name,
        title,
        program,
        "talk",
        exchange=exchange,
        needs=needs,
        floor="",
        seconds=1.0,
        size=0,
        counted=500,
    )


def _client(name: str, title: str, peer: str, *needs: str, operation: str = "request") -> Scenario:
    program = ("clients.py", "--scenario", name)
    return Scenario(
        name,
        title,
        program,
        "client",
        peer=peer,
        needs=needs,
        floor="",
        operation=operation,
        seconds=1.0,
        counted=500,
    )


def _tls(scenario: Scenario) -> Scenario:
    program = (*scenario.program, "--certificate", "{scratch}")
    return replace(scenario, program=program, transport="tls")


APPS = [
    _server("uvicorn", "uvicorn + httptools, hello", "hello", "uvicorn", "httptools"),
    _tls(
        _server(
            "uvicorn-tls", "uvicorn + httptools, hello, TLS", "hello", "uvicorn", "httptools", app="uvicorn"
        )
    ),
    _server("uvicorn-chunked", "uvicorn + httptools, a body in 4 chunks", "chunks", "uvicorn", "httptools"),
    _server(
        "uvicorn-close",
        "uvicorn + httptools, hello, without keep-alive",
        "hello-close",
        "uvicorn",
        "httptools",
        app="uvicorn",
    ),
    _server("uvicorn-h11", "uvicorn + h11, hello", "hello", "uvicorn", "h11"),
    _server("fastapi", "FastAPI on uvicorn, JSON in and out", "json", "fastapi", "uvicorn", "httptools"),
    _server("hypercorn", "hypercorn + h11, hello", "hello", "hypercorn", "h11"),
    _server("hypercorn-h2", "hypercorn + h2, hello", "http2", "hypercorn", "h2", app="hypercorn"),
    _server("aiohttp", "aiohttp server, hello", "hello", "aiohttp"),
    _server(
        "aiohttp-close", "aiohttp server, hello, without keep-alive", "hello-close", "aiohttp", app="aiohttp"
    ),
    _server("tornado", "tornado, hello", "hello", "tornado"),
    _server("websockets", "websockets server, echo 256 B", "websocket", "websockets"),
    replace(_server("grpc", "grpc.aio server, echo 256 B", "", "grpc"), load="grpc", connections=16),
    _client("aiohttp-client", "aiohttp client, 16 at a time", "http", "aiohttp"),
    _client("websockets-client", "websockets client, echo 256 B x 16", "websocket", "websockets"),
    _client("redis", "redis-py, pipelines of 10 x 16 connections", "redis", "redis", operation="pipeline"),
    _client("asyncpg", "asyncpg, `select 1` x 16 connections", "postgres", "asyncpg", operation="query"),
    _client("psycopg", "psycopg, `select 1` x 16 connections", "postgres", "psycopg", operation="query"),
]


def missing(scenario: Scenario) -> str:
    """Why a scenario cannot run on this machine, in one line; empty if it can."""
    if absent := [module for module in scenario.needs if find_spec(module) is None]:
        verb = "is" if len(absent) == 1 else "are"
        return f"{', '.join(absent)} {verb} not installed (python -m pip install '{EXTRA}')"
    return peers.missing(scenario.peer) if scenario.peer else ""
