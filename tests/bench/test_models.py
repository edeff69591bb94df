"""Does `loopkit bench models` measure every model, find where select ends, and show it in every form?"""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest

from loopkit.bench.models import curves, table
from loopkit.bench.models.measure import Settings, compare
from loopkit.bench.models.results import KINDS, MODELS, Comparison, Row
from loopkit.bench.report.terminal import PlainProgress
from loopkit.cli.bench import main
from tests.cli.commands import LIMIT, SOURCE, environment
from tests.support.pythons import OUT_OF_RANGE, PYPY

EVERYBODY = [(kind, model) for kind in KINDS for model in MODELS]


@pytest.fixture
def comparison() -> Comparison:
    about = dict.fromkeys(("date", "python", "system", "processor"), "a < b & c")
    rows = [
        Row(kind, model, {10: 1e-5 * n, 5000: 1e-4 * n}, {10: 0.0, 5000: 0.5}, 5001)
        for n, (kind, model) in enumerate(EVERYBODY, 1)
    ]
    rows[1].failure, rows[1].served = "ValueError: filedescriptor out of range in select()", 1020
    del rows[1].cost[5000], rows[1].idle[5000]
    return Comparison(about, [10, 5000], rows)


def test_every_model_answers_and_only_polling_in_a_circle_is_never_idle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ["--json", str(tmp_path / "result.json"), "--svg", str(tmp_path / "result.svg")]
    assert main(["models", "--sizes", "20,5", "--seconds", "0.45", *outputs]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["silent_clients"] == [5, 20]
    assert [(row["kind"], row["model"]) for row in result["servers"]] == EVERYBODY
    for row in result["servers"]:
        assert row["failure"] == ""
        assert row["served"] == 21
        assert all(cost > 0 for cost in row["cpu_us_per_answer"].values())
        assert list(row["cpu_us_per_answer"]) == list(row["idle_percent"]) == ["5", "20"]
        assert (row["idle_percent"]["20"] > 80) == (row["model"] == "busy")
    ElementTree.parse(tmp_path / "result.svg")
    out, err = capsys.readouterr()
    assert re.search(r"^bare select +[\d.]+ +[\d.]+ +\d+%$", out, re.MULTILINE)
    assert "[1/16] bare busy" in err


def test_select_ends_below_1024_descriptors_and_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopkit.bench.models.measure.MODELS", ("select",))
    found = compare(Settings((1100,), 0.1), PlainProgress(StringIO()))
    bare, ours = found.rows
    # Descriptors 0 to 1023, without stdin, stdout, stderr and the listener; a loop has one for its wakeup.
    assert bare.served == 1020 - PYPY  # it keeps the file of libffi open
    assert OUT_OF_RANGE in bare.failure
    assert 1000 < ours.served < 1020
    assert "select() cannot watch fd 1024" in ours.failure
    assert not any(row.cost or row.idle for row in found.rows)


def test_without_enough_descriptors_large_sizes_are_left_out() -> None:
    code = """if True:
        import io, resource
        from loopkit.bench.models.measure import Settings, compare
        from loopkit.bench.report.terminal import PlainProgress
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        found = compare(Settings((5, 5000), 0.05), PlainProgress(io.StringIO()))
        assert found.sizes == [5], found
        assert "limit of 100 descriptors" in found.about["left out"]
    """
    subprocess.run([sys.executable, "-c", code], cwd=SOURCE, env=environment(), check=True, timeout=LIMIT)


def test_the_limit_of_descriptors_is_as_before() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    compare(Settings((1,), 0.01), PlainProgress(StringIO()))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_the_table_says_where_a_server_has_ended(comparison: Comparison) -> None:
    out = StringIO()
    table.show(comparison, out)
    lines = out.getvalue().splitlines()
    assert lines[2].split() == ["server", "10", "silent", "5,000", "silent", "idle"]
    assert lines[4].split() == ["bare", "select", "20.0", "-", "0%"]
    assert "bare select ends with 1,020 clients: ValueError: filedescriptor out of range in select()" in lines


def test_the_table_is_the_same_with_rich(comparison: Comparison) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    table.show(comparison, out)
    plain = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())
    assert "5,000 silent" in plain
    assert "bare select ends with 1,020 clients" in plain


def test_the_picture_shows_a_curve_and_a_bar_for_each(comparison: Comparison) -> None:
    picture = ElementTree.fromstring(curves.draw(comparison))
    space = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f".//{space}polygon")) == len(EVERYBODY)
    assert len(picture.findall(f".//{space}circle")) == 2 * len(EVERYBODY) - 1
    texts = [text.text for text in picture.iter(f"{space}text")]
    ends = [text for text in picture.iter(f"{space}text") if text.get("class") == "f" and text.tail is None]
    assert (
        "".join(ends[0].itertext())
        == "1,020 clients: ValueError: filedescriptor out of range in select()ends"
    )
    assert {"busy", "select", "poll", "epoll", "5,000", "50%"} <= set(texts)


@pytest.mark.parametrize("spoil", [lambda c: c.rows.clear(), lambda c: c.sizes.remove(5000)])
def test_a_picture_of_little_is_still_a_picture(
    comparison: Comparison, spoil: Callable[[Comparison], None]
) -> None:
    for row in comparison.rows:
        row.cost.pop(5000, None)
        row.idle.pop(5000, None)
    spoil(comparison)
    ElementTree.fromstring(curves.draw(comparison))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sizes", "0"], "'0' is no whole number from 1 on"),
        (["--sizes", "ten"], "'ten' is no whole number from 1 on"),
        (["--seconds", "0"], "'0' is no number of seconds"),
        (["--seconds", "long"], "'long' is no number of seconds"),
        (["--svg", "/no/such/folder/x.svg"], "no such directory"),
        (["everything"], "unrecognized arguments: everything"),
    ],
)
def test_mistakes_are_answered(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *arguments]) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert out == ""
