"""Do redis-py, asyncpg and psycopg talk to real servers on loopkit: over TCP, TLS and Unix sockets?"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.apps.databases import postgres_server, redis_server
from tests.apps.running import ON_LOOPKIT, needs, output_of, proof


@pytest.fixture(scope="module")
def redis(certificates: Any) -> Iterator[list[object]]:
    with redis_server(certificates) as address:
        yield address


@pytest.fixture(scope="module")
def postgres(certificates: Any) -> Iterator[list[object]]:
    with postgres_server(certificates) as address:
        yield address


@needs("redis")
def test_redis(redis, certificates):
    said = output_of(*ON_LOOPKIT, "redis_client.py", *redis, certificates.authority)
    once = ["100 190", "3000000", "subscribe", "b'nothing happened'", "b'list' b'item'"]
    assert said == [*once * 3, proof()]


@needs("asyncpg")
def test_asyncpg(postgres, certificates):
    said = output_of(*ON_LOOPKIT, "asyncpg_client.py", *postgres, certificates.authority)
    once = ["2128890", "division by zero", "20000", "given up; then alive", "hello"]
    assert said == [
        *["9900", "tls: False", *once],
        *["9900", "tls: True", *once],
        *["9900", "tls: False", *once],
        proof(),
    ]


@needs("psycopg")
def test_psycopg(postgres, certificates):
    said = output_of(*ON_LOOPKIT, "psycopg_client.py", *postgres, certificates.authority)
    once = ["[(20000,)]", "1225", "given up; then ('alive',)", "hello"]
    assert said == [
        *["90", "tls: False", *once],
        *["90", "tls: True", *once],
        *["90", "tls: False", *once],
        proof(),
    ]
