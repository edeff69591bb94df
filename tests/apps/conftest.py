"""What the tests of servers and clients share: certificates on disk, and clients that use no event loop."""

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

# Seconds for one test: the sum of the limits within it, so that those speak first.
PATIENCE = 400


@dataclass
class Certificates:
    """Files, for servers and clients of 127.0.0.1: the authority, the server's certificate, and its key."""

    authority: Path
    chain: Path
    key: Path

    def client(self) -> ssl.SSLContext:
        """A context that trusts the authority and nobody else."""
        return ssl.create_default_context(cafile=self.authority)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    files = Certificates(folder / "authority.pem", folder / "chain.pem", folder / "key.pem")
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(files.authority)
    files.chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(files.key)
    return files


class Client:
    """A blocking HTTP client of one server on loopback; one connection for all its requests."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.connection: http.client.HTTPConnection
        if tls is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        else:
            self.connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=tls)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: object) -> None:
        self.connection.close()

    def get(self, path: str = "/") -> bytes:
        self.connection.request("GET", path)
        return self._body()

    def about(self) -> dict[str, object]:
        """What the application of `asgi_app.py` (and its like) tells about itself."""
        return json.loads(self.get())

    def post(self, path: str, body: bytes) -> bytes:
        self.connection.request("POST", path, body)
        return self._body()

    def _body(self) -> bytes:
        with self.connection.getresponse() as response:
            body = response.read()
            assert response.status == 200, (response.status, body[:500])
            return body


@pytest.fixture(scope="session")
def connect() -> type[Client]:
    return Client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Whole programs, and the installation of a database for the first test that needs one, take their time.
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(PATIENCE))
