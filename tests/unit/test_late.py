"""A method that is late gives way to the function of its room."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import loopkit
from loopkit import descriptors
from loopkit.late import late
from tests.apps.running import PROGRAMS, ROOT, output_of, proof, running
from tests.support.tls import authority

ROOMS = (
    "loopkit.tls",
    "loopkit.processes",
    "loopkit.net.datagrams",
    "loopkit.net.sendfile",
    "loopkit.net.pipes",
)


def test_the_first_access_puts_the_function_in_its_place():
    class Home:
        """Any class will do."""

        fileno = late("descriptors")

    assert isinstance(vars(Home)["fileno"], late)
    assert Home().fileno.__func__ is descriptors.fileno  # bound, as functions of a class are
    assert vars(Home)["fileno"] is descriptors.fileno
    assert Home.fileno is descriptors.fileno


def test_importing_loopkit_enters_none_of_those_rooms():
    code = f"import sys, loopkit; print([name for name in {ROOMS} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "[]"


# -- files that are elsewhere, or gone -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    leaf = authority().issue_cert("127.0.0.1")
    files = [folder / "authority.pem", folder / "chain.pem", folder / "key.pem"]
    authority().cert_pem.write_to_path(files[0])
    leaf.cert_chain_pems[0].write_to_path(files[1])
    leaf.private_key_pem.write_to_path(files[2])
    return files


@pytest.fixture
def copy(tmp_path):
    """A folder with a copy of the package in it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(loopkit.__file__).parent, tmp_path / "copy" / "loopkit", ignore=ignored)
    return tmp_path / "copy"


def search_path(place):
    return os.pathsep.join(map(str, (place, ROOT, PROGRAMS)))


@pytest.mark.parametrize("way", ["preload", "debug"])
def test_a_preloaded_program_needs_the_files_no_more(way, copy, keys):
    said = output_of("files_gone.py", copy / "loopkit", way, *keys, PYTHONPATH=search_path(copy))
    slow = [line for line in said if line.startswith("Executing ")]  # in debug mode, on a slow machine
    assert [line for line in said if line not in slow] == ["12", proof()]


def test_without_preloading_the_error_names_the_way_out(copy, keys):
    with running("files_gone.py", copy / "loopkit", "late", *keys, PYTHONPATH=search_path(copy)) as program:
        assert program.finish() == 1
    assert re.search(
        r"ImportError: loopkit\.\S+ cannot be loaded any more \(No module named '\S+'\); if this program "
        r"changes its root, .* let it call loopkit\.preload\(\) before",
        program.output,
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root may change the root")
def test_a_preloaded_program_may_change_its_root(copy, keys):
    said = output_of("files_gone.py", copy / "loopkit", "chroot", *keys, PYTHONPATH=search_path(copy))
    assert said == ["b''", proof()]


@pytest.mark.parametrize("way", ["stays", "preload"])
def test_it_runs_from_a_zip_file(way, copy, keys):
    archive = shutil.make_archive(str(copy / "loopkit"), "zip", copy, "loopkit")
    shutil.rmtree(copy / "loopkit")
    said = output_of("files_gone.py", archive, way, *keys, PYTHONPATH=search_path(archive))
    assert said[-1] == proof()


def test_preloading_enters_every_room():
    """Whatever the loop's own folders hold: a room that is forgotten shows here."""
    ours = "('net', 'tls', 'transports', 'processes', 'pollers')"
    code = f"""
import importlib, pkgutil, sys, loopkit
loopkit.preload()
wanted = {{m.name for m in pkgutil.iter_modules(loopkit.__path__, 'loopkit.') if not m.ispkg}}
for folder in {ours}:
    package = sys.modules['loopkit.' + folder]
    wanted |= {{m.name for m in pkgutil.iter_modules(package.__path__, package.__name__ + '.')}}
print(sorted(wanted - set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "['loopkit.__main__']"


def test_a_preloaded_program_writes_a_traceback_without_a_descriptor():
    code = """
import loopkit, os, resource, sys, traceback
loopkit.preload()
before = set(sys.modules)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # all of them are in use
try:
    os.open(os.devnull, os.O_RDONLY)
except OSError:
    traceback.print_exc(file=sys.stdout)
print(set(sys.modules) - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    *_, said, loaded = done.stdout.splitlines()
    assert (said, loaded) == ("OSError: [Errno 24] Too many open files: '/dev/null'", "set()")
