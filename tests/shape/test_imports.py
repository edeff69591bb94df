"""Who may know whom. Imports go downwards only."""

import graphlib
import subprocess
import sys

import pytest

from tests.shape.source import OUTER, ROOT, core, files, imports, ours

KNOW_NOBODY = [
    name for name in core() if name.split(".")[1:2] in (["handles"], ["timers"], ["wakeup"], ["pollers"])
]

# What stands above the rooms and may therefore import the loop.
ABOVE = {"loopkit", "loopkit.runner"}


def is_outer(name: str) -> bool:
    return name.split(".")[1:2] in [[outer] for outer in OUTER]


@pytest.mark.parametrize("module", KNOW_NOBODY)
def test_the_parts_at_the_bottom_know_nobody(module):
    at_import, on_demand = imports(module)
    known = ours(at_import | on_demand)
    assert {name for name in known if not name.startswith("loopkit.pollers")} == set()
    if known:
        assert module.startswith("loopkit.pollers")


@pytest.mark.parametrize("module", [name for name in core() if name not in ABOVE])
def test_no_room_imports_the_loop(module):
    at_import, on_demand = imports(module)
    assert not {"loopkit.loop", "loopkit"} & (at_import | on_demand)


@pytest.mark.parametrize("module", core())
def test_nothing_imports_diagnostics_bench_or_cli(module):
    at_import, on_demand = imports(module)
    assert {name for name in at_import if is_outer(name)} == set()
    # The observed turn is loaded when debug mode asks for it, what hangs on a loop when the environment does.
    allowed = (
        {"loopkit.diagnostics.turns", "loopkit.diagnostics.instruments"}
        if module == "loopkit.loop"
        else set()
    )
    assert {name for name in on_demand if is_outer(name)} <= allowed


def test_imports_have_no_circles():
    graph = {module: ours(imports(module)[0]) - {module} for module in core()}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert order.index("loopkit.handles") < order.index("loopkit.loop") < order.index("loopkit.runner")


@pytest.mark.parametrize("module", core())
def test_there_are_no_dependencies(module):
    at_import, on_demand = imports(module)
    foreign = {name.partition(".")[0] for name in at_import | on_demand} - {"loopkit"}
    assert foreign <= sys.stdlib_module_names


def test_import_loads_only_the_core_and_warns_of_nothing():
    code = "import sys, loopkit; print(*sorted(name for name in sys.modules if name.startswith('loopkit')))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"loopkit.loop", "loopkit.pollers.epoll", "loopkit.executor"} <= loaded
    entered_when_called_for = {"loopkit.net", "loopkit.transports", "loopkit.tls", "loopkit.processes"}
    assert loaded.isdisjoint(entered_when_called_for)
    assert {name for name in loaded if is_outer(name)} == set()
    assert loaded <= set(core())


def test_every_module_is_found():
    assert set(core()) | {name for name in files() if is_outer(name)} == set(files())
    assert len(core()) > 20
