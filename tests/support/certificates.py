"""What the tests use of trustme, made by the `openssl` program: for a Python that has no trustme.

(trustme needs cryptography, of which there is no wheel for PyPy.)
"""

import datetime
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DAYS = 2


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Blob:
    """A text in PEM."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def bytes(self) -> bytes:
        return self._text

    @contextmanager
    def tempfile(self) -> Iterator[str]:
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(self._text)
            file.flush()
            yield file.name

    def write_to_path(self, path: str) -> None:
        Path(path).write_bytes(self._text)


class LeafCert:
    """A certificate and its key."""

    def __init__(self, key: bytes, certificate: bytes) -> None:
        self.private_key_pem = Blob(key)
        self.cert_chain_pems = [Blob(certificate)]
        self.private_key_and_cert_chain_pem = Blob(key + certificate)

    def configure_cert(self, context: ssl.SSLContext) -> None:
        with self.private_key_and_cert_chain_pem.tempfile() as path:
            context.load_cert_chain(path)


class CA:
    """An authority that everybody may ask for certificates."""

    def __init__(self, organization_name: str = "tests") -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._key, self._certificate = (str(self._path(name)) for name in ("ca.key", "ca.pem"))
        openssl(
            *("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *(
                "-days",
                str(DAYS),
                "-subj",
                f"/O={organization_name}",
                "-keyout",
                self._key,
                "-out",
                self._certificate,
            ),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        self.cert_pem = Blob(Path(self._certificate).read_bytes())

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / name

    def configure_trust(self, context: ssl.SSLContext) -> None:
        context.load_verify_locations(self._certificate)

    def issue_cert(
        self,
        *names: str,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
    ) -> LeafCert:
        """A certificate for host names, addresses and persons; out of date if *not_after* is past."""
        key, request, extensions, certificate = map(
            self._path, ("leaf.key", "leaf.csr", "leaf.ext", "leaf.pem")
        )
        openssl(
            *("req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-subj", "/O=tests", "-keyout", str(key), "-out", str(request)),
        )
        extensions.write_text(
            f"subjectAltName={','.join(map(kind_of, names))}\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        days = DAYS
        if not_after is not None and not_after < datetime.datetime.now(datetime.UTC):
            days = -1
        openssl(
            *("x509", "-req", "-in", str(request), "-CA", self._certificate, "-CAkey", self._key),
            *("-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out", str(certificate)),
        )
        return LeafCert(key.read_bytes(), certificate.read_bytes())


def kind_of(name: str) -> str:
    """A name as subjectAltName has it."""
    if "@" in name:
        return f"email:{name}"
    return f"IP:{name}" if name.replace(".", "").isdigit() or ":" in name else f"DNS:{name}"
