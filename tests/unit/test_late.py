"""A method that is late gives way to the function of its room."""

import subprocess
import sys

from loopkit import watches
from loopkit.late import late

ROOMS = (
    "loopkit.tls",
    "loopkit.processes",
    "loopkit.net.datagrams",
    "loopkit.net.sendfile",
    "loopkit.net.pipes",
)


class Home:
    """Any class will do."""

    fileno = late("watches")


def test_the_first_access_puts_the_function_in_its_place():
    assert isinstance(vars(Home)["fileno"], late)
    assert Home().fileno.__func__ is watches.fileno  # bound, as functions of a class are
    assert vars(Home)["fileno"] is watches.fileno
    assert Home.fileno is watches.fileno


def test_importing_loopkit_enters_none_of_those_rooms():
    code = f"import sys, loopkit; print([name for name in {ROOMS} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "[]"
