"""A certificate for the TLS scenarios, made by the `openssl` program and thrown away with its folder."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from loopkit.bench.processes import Failure

if TYPE_CHECKING:
    from pathlib import Path


def make_certificate(folder: Path) -> Path:
    """certificate.pem and key.pem in `folder`, for 127.0.0.1; made once.

    The key is on the P-256 curve: with RSA the handshake scenario would measure little but arithmetic.

    Raises:
        Failure: there is no `openssl`, or it refuses.
    """
    certificate = folder / "certificate.pem"
    if certificate.exists():
        return certificate
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-subj", "/CN=loopkit bench", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(certificate)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failure("no `openssl` program to make a test certificate with") from None
    if done.returncode:
        certificate.unlink(missing_ok=True)
        raise Failure(f"`openssl` made no test certificate: {done.stderr.strip()[-200:]}")
    return certificate
