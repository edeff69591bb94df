"""Does `loopkit bench` do what its command line says, and answer mistakes in one line?"""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loopkit.bench import loops
from loopkit.bench.apps import missing
from loopkit.bench.loops import KNOWN, Contestant
from loopkit.bench.scenarios import SCENARIOS, choose
from loopkit.cli.bench import main


def test_a_run_writes_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {kind: tmp_path / f"result.{kind}" for kind in ("json", "svg", "html", "md")}
    outputs = [text for kind, path in files.items() for text in (f"--{kind}", str(path))]
    loop = "tests.bench.bad_loops:cannot_start"
    assert main(["sleep", "--quick", "--rounds", "2", "--loops", "asyncio", "--loop", loop, *outputs]) == 0
    out, err = capsys.readouterr()
    assert "CPU us" in out
    assert f"{loop}  failed: RuntimeError: this loop needs a kernel from the future" in out
    assert "sleep, round 2 of 2" in err
    document = json.loads(files["json"].read_text())
    assert document["about"]["heap"] == "cold"
    rows = {row["loop"]: row for row in document["scenarios"][0]["rows"]}
    assert len(rows["asyncio"]["samples"]) == 2
    assert rows[loop]["samples"] == []
    assert "<svg" in files["svg"].read_text()
    assert "<html" in files["html"].read_text()
    assert "| await asyncio.sleep(0) (`sleep`) | step, us |" in files["md"].read_text()

    assert main(["show", str(files["json"])]) == 0
    assert "kernel from the future" in capsys.readouterr().out
    assert main(["show", str(files["json"]), "--svg", str(tmp_path / "again.svg")]) == 0
    assert (tmp_path / "again.svg").read_text() == files["svg"].read_text()
    capsys.readouterr()
    assert main(["compare", str(files["json"]), str(files["json"])]) == 0
    assert "asyncio" in capsys.readouterr().out


def test_a_kept_result_is_compared_with_what_is_measured_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, now = tmp_path / "kept.json", tmp_path / "now.json"
    arguments = ["sleep", "--quick", "--rounds", "1", "--loops", "epoll,asyncio", "--json", str(kept)]
    assert main(arguments) == 0
    # A figure that nobody reaches must be seen, one that nobody misses must not.
    for factor, code in ((1e-3, 1), (1e3, 0)):
        document = json.loads(kept.read_text())
        for row in document["scenarios"][0]["rows"]:
            for sample in row["samples"] if row["loop"] == "loopkit-epoll" else []:
                sample["cpu"] *= factor
        changed = tmp_path / "changed.json"
        changed.write_text(json.dumps(document))
        capsys.readouterr()
        assert main(["compare", str(changed), "--quick", "--json", str(now)]) == code
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("loopkit-epoll"))
        assert line.endswith("worse" if code else "better")
    assert [row["loop"] for row in json.loads(now.read_text())["scenarios"][0]["rows"]] == [
        "loopkit-epoll",
        "asyncio",
    ]


def test_another_version_is_measured_together_with_this_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "loopkit"
    package.mkdir()
    # Who runs tells so by failing: the version in the folder, not the installed one, must be what runs.
    (package / "__init__.py").write_text("def EpollLoop():\n    raise RuntimeError('the older one')\n")
    assert main(["compare", str(tmp_path), "sleep", "--quick", "--rounds", "2"]) == 0
    assert "works now" in capsys.readouterr().out.splitlines()[-1]
    assert main(["sleep", "--loops", str(tmp_path), "--rounds", "1"]) == 1
    assert "the older one" in capsys.readouterr().out


def test_json_on_standard_output_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sleep", "--quick", "--rounds", "1", "--loops", "asyncio", "--warm", "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["about"]["heap"] == "warm"


def test_only_failures_are_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sleep", "--rounds", "1", "--loops", "no_such_module:loop"]) == 1
    assert "No module named 'no_such_module'" in capsys.readouterr().out


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in (*SCENARIOS, *KNOWN, "echo", "all"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "no scenario is called 'nonsense'"),
        (["--loops", "nonsense"], "no loop is called 'nonsense'"),
        (["--loop", "module:"], "no loop is called 'module:'"),
        (["--rounds", "0"], "no whole number from 1 on"),
        (["--rounds", "many"], "no whole number from 1 on"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--json", "/no/such/folder/x.json"], "no such directory"),
        (["compare"], "the following arguments are required: OLD"),
        (["compare", "one.json"], "No such file or directory: 'one.json'"),
        (["compare", "one.json", "two.json", "three.json"], "two results can be compared, not 3"),
        (["compare", "/usr"], "/usr has no package loopkit in it"),
        (["compare", ".", "nonsense"], "no scenario is called 'nonsense'"),
        (["--loop", "/usr"], "/usr has no package loopkit in it"),
        (
            ["compare", "/no/such/old.json", "/no/such/new.json"],
            "No such file or directory: '/no/such/old.json'",
        ),
        (["show", "/no/such/result.json"], "No such file or directory"),
    ],
)
def test_mistakes_are_answered_in_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert says in err.splitlines()[-1]


def test_a_loop_that_is_not_installed_is_skipped_with_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loops.KNOWN, "absent", Contestant("absent", "no_such_module:loop", install="absent"))
    assert main(["sleep", "--rounds", "1", "--quick", "--loops", "asyncio,absent"]) == 0
    out, err = capsys.readouterr()
    assert "absent is not installed: skipped (python -m pip install absent)" in err
    assert "absent" not in out
    assert main(["--loops", "absent"]) == 2
    assert "none of these loops is installed" in capsys.readouterr().err


def test_png_without_matplotlib_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopkit.bench.report.png.find_spec", lambda name: None)
    assert main(["sleep", "--png", "x.png"]) == 2
    assert "python -m pip install matplotlib" in capsys.readouterr().err


def test_other_systems_are_told_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert main([]) == 2
    assert "it needs Linux" in capsys.readouterr().err


def test_an_application_that_is_not_installed_is_skipped_with_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = replace(SCENARIOS["tornado"], needs=("no_such_library", "nor_this"))
    monkeypatch.setitem(SCENARIOS, "tornado", absent)
    why = "no_such_library, nor_this are not installed (python -m pip install 'loopkit-asyncio[bench-apps]')"
    assert main(["sleep", "tornado", "--rounds", "1", "--quick", "--loops", "asyncio"]) == 0
    out, err = capsys.readouterr()
    assert f"tornado is skipped: {why}" in err
    assert "tornado" not in out
    assert main(["tornado", "--loops", "asyncio"]) == 2
    assert capsys.readouterr().err == f"loopkit bench: tornado: {why}\n"


def test_a_server_that_is_not_on_the_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("loopkit.bench.peers.POSTGRES", "/nonexistent")
    for name, package in (("redis", "redis-server"), ("asyncpg", "postgresql"), ("psycopg", "postgresql")):
        installed = replace(SCENARIOS[name], needs=())
        assert f"is not on this machine (Debian's package: {package})" in missing(installed)


def test_names_and_aliases_of_loops() -> None:
    assert [loop.name for loop in loops.choose(["epoll", "asyncio"], ["epoll"])[0]] == [
        "loopkit-epoll",
        "asyncio",
    ]
    assert len(loops.choose(["loopkit"], [])[0]) == 4
    assert loops.choose(["a.b:c"], [])[0] == [Contestant("a.b:c", "a.b:c")]
    assert [loop.name for loop in loops.choose(["epoll+metrics"], [])[0]] == ["loopkit-epoll+metrics"]
    everyone = [loop.name for loop in loops.choose([], [])[0]]
    assert everyone[:5] == ["loopkit-epoll", "loopkit-poll", "loopkit-select", "loopkit-busy", "asyncio"]
    assert "floor" in everyone
    assert not any("+" in name for name in everyone)


def test_groups_and_scenarios_are_chosen_once_each() -> None:
    assert [scenario.name for scenario in choose(["sock", "echo"])] == ["sock", "protocol", "streams"]
    assert len(choose(["all", "scale", "apps", "looking"])) == len(SCENARIOS)


def test_what_looking_costs_is_measured_against_the_plain_loop(capsys: pytest.CaptureFixture[str]) -> None:
    """Without being told which loops; in percent, within each round."""
    assert main(["looking", "--rounds", "1", "--quick"]) == 0
    out = capsys.readouterr().out
    for name in ("protocol echo, 1 KiB x 32", "protocol echo, 1 KiB x 1 connection", "one byte at a time"):
        assert name in out
    for name in ("loopkit-epoll", r"loopkit-epoll\+metrics", r"loopkit-epoll\+watch"):
        assert len(re.findall(rf"^{name} .* [+-]\d+\.\d%$", out, re.MULTILINE)) == 3
    assert "asyncio " not in out
