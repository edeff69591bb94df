"""Debian's own redis-server and postgresql, started on loopback for one test session and gone after it."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.running import Program
from tests.support.net import free_port

# Seconds that apt-get may take.
PATIENCE = 300


def find_program(name: str, package: str, *folders: Path) -> Path:
    """A program of a Debian package, which is installed if it is missing and we may; if not, a skip."""
    if found := _look_for(name, *folders):
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"{name} is not installed, and only root could `apt-get install {package}`")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "-q", "update"], ["apt-get", "-q", "install", "--yes", package]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            pytest.skip(f"{name} is not installed, and {' '.join(command)!r} failed: {''.join(last)}")
    found = _look_for(name, *folders)
    assert found is not None, f"the package {package} has no {name}"
    return found


def _look_for(name: str, *folders: Path) -> Path | None:
    places = os.pathsep.join(map(str, folders))
    found = shutil.which(name, path=places) or shutil.which(name)
    return Path(found) if found else None


@contextlib.contextmanager
def _own_folder(owner: str | None, **files: Path) -> Iterator[tuple[Path, dict[str, Path]]]:
    """A new folder that belongs to that user, with copies of the files for his eyes alone.

    Its name is short: it will hold Unix sockets, whose paths end at 107 bytes.
    """
    with tempfile.TemporaryDirectory(prefix="loopkit-") as name:
        folder, copies = Path(name), {}
        for what, file in files.items():
            copies[what] = Path(shutil.copy(file, folder))
            copies[what].chmod(0o600)
        if owner is not None:
            for path in (folder, *copies.values()):
                shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
        yield folder, copies


@contextlib.contextmanager
def redis_server(certificates: Any) -> Iterator[list[object]]:
    """A running redis-server: its port, its TLS port, its Unix socket."""
    server = find_program("redis-server", "redis-server")
    port, tls_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="loopkit-") as folder:
        path = f"{folder}/socket"
        options = {
            "dir": folder,
            "save": "",
            "bind": "127.0.0.1",
            "port": port,
            "unixsocket": path,
            "tls-port": tls_port,
            "tls-cert-file": certificates.chain,
            "tls-key-file": certificates.key,
            "tls-ca-cert-file": certificates.authority,
            "tls-auth-clients": "no",
        }
        command = [str(server)]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        with contextlib.closing(Program(command)) as program:
            program.wait_for("eady to accept connections")
            yield [port, tls_port, path]
            program.signal(signal.SIGTERM)
            program.finish()


@contextlib.contextmanager
def postgres_server(certificates: Any) -> Iterator[list[object]]:
    """A running postgresql with a new, empty cluster: its port and the folder of its Unix socket."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb = find_program("initdb", "postgresql", *homes)
    owner = "postgres" if os.geteuid() == 0 else None  # it refuses to be root
    port = free_port()
    with _own_folder(owner, chain=certificates.chain, key=certificates.key) as (folder, files):
        data, password = folder / "data", folder / "password"
        password.write_text("secret")
        password.chmod(0o644)
        subprocess.run(
            [initdb, "-D", data, "-U", "loopkit", "-A", "scram-sha-256", "--pwfile", password, "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            user=owner,
            cwd=folder,
        )
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": files["chain"],
            "ssl_key_file": files["key"],
        }
        command = [str(initdb.with_name("postgres")), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with contextlib.closing(Program(command, user=owner, cwd=folder)) as program:
            program.wait_for("database system is ready to accept connections")
            yield [port, folder]
            program.signal(signal.SIGINT)  # the fast end, which leaves no shared memory behind
            program.finish()
