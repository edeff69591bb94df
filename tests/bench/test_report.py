"""Do results say the same in every form, and can each form stand alone?"""

import io
import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from loopkit.bench.report import html, markdown, svg, versions
from loopkit.bench.report.chart import panels
from loopkit.bench.report.compare import compare_reports
from loopkit.bench.report.rows import number, table
from loopkit.bench.report.terminal import PlainProgress, plain_text
from loopkit.bench.results import LoopResult, Report, ScenarioResult, load_report


def sample(cpu: float) -> dict[str, float]:
    return {"operations": 100, "rate": 1 / cpu, "cpu": cpu, "p50": cpu * 2, "p99": cpu * 9, "busy": 0.9}


def make_report(factor: float = 1.0, *, failing: str = "cannot <do> & won't") -> Report:
    rows = [
        LoopResult(
            "loopkit-epoll", [sample(cpu * factor) for cpu in (8e-6, 9e-6, 8.5e-6)], syscalls={"sendto": 1.0}
        ),
        LoopResult("asyncio", [sample(cpu) for cpu in (40e-6, 30e-6, 34e-6)]),
        LoopResult(
            "uvloop", [sample(cpu) for cpu in (10e-6, 10e-6, 10e-6)], remark="system calls not counted"
        ),
        LoopResult("bad<loop>", [], failing),
    ]
    memory = [LoopResult("asyncio", [{"operations": 9, "rss": 3000.0, "rate": 5.0}])]
    return Report(
        {"date": "today", "python": "CPython <3>", "heap": "cold", "rounds": "3"},
        [
            ScenarioResult("protocol", "protocol echo & more", "cpu", "request", rows),
            ScenarioResult("idle-memory", "memory", "rss", "connection", memory),
        ],
    )


def test_ratios_compare_neighbours_in_time() -> None:
    scenario = make_report().scenarios[0]
    # The rounds' ratios are 0.2, 0.3 and 0.25: not the ratio of the medians' own order by chance.
    assert scenario.ratio(scenario.rows[0], "asyncio") == pytest.approx(0.25)
    assert scenario.ratio(scenario.rows[0], "nobody") is None
    assert scenario.ratio(scenario.rows[3], "asyncio") is None


def test_the_spread_is_relative_to_the_median() -> None:
    row = make_report().scenarios[0].rows[0]
    assert row.spread("cpu") == pytest.approx(0.25e-6 / 8.5e-6)
    assert LoopResult("x", [sample(1e-6)]).spread("cpu") is None


def test_json_comes_back_as_it_went(tmp_path: Path) -> None:
    report = make_report()
    path = tmp_path / "result.json"
    path.write_text(report.to_json())
    assert load_report(path) == report


def test_json_holds_what_a_reader_needs() -> None:
    document = json.loads(make_report().to_json())
    assert document["schema"] == 1
    scenario = document["scenarios"][0]
    assert {"name", "title", "metric", "unit", "operation", "rows"} <= scenario.keys()
    row = scenario["rows"][0]
    assert row["median"]["cpu"] == pytest.approx(8.5e-6)
    assert row["ratio"]["asyncio"] == pytest.approx(0.25)
    assert row["ratio"]["uvloop"] == pytest.approx(0.85)
    assert scenario["rows"][3]["failure"].startswith("cannot")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2}',
        '{"schema": 1, "about": {}, "scenarios": [{"metric": "beauty"}]}',
        "\xff",
    ],
)
def test_a_file_that_is_no_result_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"other\.json"):
        load_report(path)


def test_the_table_leaves_out_what_nobody_has() -> None:
    protocol, memory = make_report().scenarios
    head, *lines = table(protocol)
    assert head == [
        "loop",
        "requests/s",
        "CPU us",
        "+-",
        "p50 us",
        "p99 us",
        "busy",
        "/asyncio",
        "/uvloop",
        "system calls",
    ]
    assert lines[0] == [
        "loopkit-epoll",
        "117,647",
        "8.50",
        "3%",
        "17.0",
        "76.5",
        "90%",
        "0.25",
        "0.85",
        "1.00 (sendto 1.00)",
    ]
    assert lines[3] == ["bad<loop>", "failed: cannot <do> & won't"]
    assert table(memory)[0] == ["loop", "connections/s", "memory bytes", "/asyncio"]


def test_a_scenario_where_all_failed_has_a_table() -> None:
    scenario = ScenarioResult("x", "x", "cpu", "request", [LoopResult("a", [], "boom"), LoopResult("b")])
    assert table(scenario)[1:] == [["a", "failed: boom"], ["b", "not measured"]]
    assert "boom" in plain_text(Report({}, [scenario]))
    ElementTree.fromstring(svg.draw(Report({}, [scenario])))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.123, "0.12"),
        (9.99, "9.99"),
        (9.996, "10.0"),
        (99.94, "99.9"),
        (99.96, "100"),
        (12345.6, "12,346"),
    ],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_the_plain_text_lines_up() -> None:
    lines = plain_text(make_report()).splitlines()
    start = lines.index("protocol echo & more")
    head, first = lines[start + 1], lines[start + 2]
    assert head.index("CPU us") + len("CPU us") == first.index("8.50") + len("8.50")
    assert "bad<loop>" in lines[start + 5]
    assert lines[start + 6] == "uvloop: system calls not counted"


def test_the_words_below_explain_only_the_columns_that_are_there() -> None:
    report = make_report()
    assert "costs more than the plain loop" not in plain_text(report)
    rows = report.scenarios[0].rows
    rows += [LoopResult("loopkit-epoll", [sample(10.0)]), LoopResult("loopkit-epoll+metrics", [sample(11.0)])]
    text = " ".join(plain_text(report).split())
    assert "/loopkit-epoll: what it costs more than the plain loop" in text
    assert "costs more than the plain loop" in html.write(report)


def test_rich_takes_no_bracket_for_markup() -> None:
    pytest.importorskip("rich")
    from rich.console import Console

    from loopkit.bench.report.fancy import make_table

    report = make_report(failing="[bold]not markup[/bold]")
    console = Console(file=io.StringIO(), width=200)
    console.print(make_table(report.scenarios[0]))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "[bold]not markup[/bold]" in text
    assert "117,647" in text


def foreign_references(text: str) -> list[str]:
    """Whatever would be fetched from elsewhere."""
    text = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    return [
        word for word in ("http:", "https:", "src=", "<link", "@import", "url(", "<script") if word in text
    ]


def test_the_svg_is_well_formed_and_stands_alone() -> None:
    drawn = svg.draw(make_report())
    root = ElementTree.fromstring(drawn)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "8.50  (0.85)" in texts
    assert "protocol echo & more" in texts
    kinds = [element.get("class") for element in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert sorted(kinds) == ["asyncio", "asyncio", "loopkit", "paper", "spread", "spread", "uvloop"]
    assert not foreign_references(drawn)


def test_a_picture_says_where_it_was_measured_and_what_its_words_mean() -> None:
    report = make_report()
    drawn = svg.draw(report)
    for said in ("CPython &lt;3&gt;, today; cold heap, median of 3 rounds", "the ratio within each round"):
        assert said in drawn
    assert "cold heap: a young process" in drawn
    assert "bare select.epoll server" not in drawn  # there is none in it
    report.scenarios[0].rows.append(LoopResult("floor", [sample(4e-6)]))
    report.about["heap"] = "warm"
    drawn = svg.draw(report)
    assert "bare select.epoll server" in drawn
    assert "cold heap" not in drawn
    assert "warm heap: a process" in drawn


def test_the_spread_of_the_rounds_is_drawn_around_the_end_of_the_bar() -> None:
    bars = {bar.label: bar for bar in panels(make_report())[0].bars}
    assert bars["asyncio"].spread == pytest.approx(2.5 / 34)
    assert bars["uvloop"].spread == 0
    assert bars["bad<loop>"].spread == 0


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_stands_alone() -> None:
    page = html.write(make_report())
    parser = _Balance()
    parser.feed(page)
    parser.close()
    assert not parser.open
    assert parser.seen.count("svg") == 2
    assert not foreign_references(page)
    assert "bad&lt;loop&gt;" in page
    assert "<loop>" not in page
    assert 'href="#protocol"' in page
    assert 'id="protocol"' in page


@pytest.mark.leaks("fds", reason="matplotlib keeps its fonts open")
def test_the_png_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from loopkit.bench.report import png

    path = tmp_path / "result.png"
    png.draw(make_report(), path)
    assert path.read_bytes().startswith(b"\x89PNG")


def verdicts(text: str) -> dict[str, str]:
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("loop "))
    return {line.split()[0]: line for line in lines[start + 1 : start + 5]}


def test_compare_tells_better_from_noise() -> None:
    assert verdicts(compare_reports(make_report(), make_report(0.5))[0])["loopkit-epoll"].endswith("better")
    assert verdicts(compare_reports(make_report(), make_report(2.0))[0])["loopkit-epoll"].endswith("worse")
    same = verdicts(compare_reports(make_report(), make_report(1.02))[0])
    assert "same (within" in same["loopkit-epoll"]
    assert "+2.0%" in same["loopkit-epoll"]
    assert "still fails" in same["bad<loop>"]


def test_compare_judges_against_the_control() -> None:
    slower_machine = make_report(2.0)
    for row in slower_machine.scenarios[0].rows[1:3]:
        for taken in row.samples:
            taken["cpu"] *= 2
    line = verdicts(compare_reports(make_report(), slower_machine)[0])["loopkit-epoll"]
    assert "+100.0%" in line
    assert "same (within" in line


def test_compare_says_whether_a_release_should_wait() -> None:
    assert compare_reports(make_report(), make_report(2.0))[1]
    assert not compare_reports(make_report(), make_report(0.5))[1]
    assert not compare_reports(make_report(), make_report(1.02))[1]
    fails = make_report()
    fails.scenarios[0].rows[0].failure = "it hangs"
    assert compare_reports(make_report(), fails)[1]
    # What becomes of others is told, but it is not ours to mend.
    slower = make_report()
    for taken in slower.scenarios[0].rows[2].samples:
        taken["cpu"] *= 2
    assert not compare_reports(make_report(), slower)[1]


def two_versions(ratios: list[float]) -> Report:
    """A result of two versions whose rounds have these ratios, on a machine whose speed changes."""
    speeds = [1e-5 * (1 + number % 3) for number in range(len(ratios))]
    rows = [
        LoopResult("old", [sample(speed) for speed in speeds]),
        LoopResult("new", [sample(speed * ratio) for speed, ratio in zip(speeds, ratios, strict=True)]),
    ]
    return Report({}, [ScenarioResult("echo", "echo", "cpu", "request", rows)])


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([1.05, 1.04, 1.06, 1.05, 1.03, 1.07, 1.05], "worse"),
        ([0.95, 0.94, 0.96, 0.95, 0.93, 0.97, 0.95], "better"),
        ([1.01, 1.012, 1.008, 1.01, 1.011, 1.009, 1.01], "same"),  # sure, but too little
        ([1.2, 0.99, 1.3, 1.1, 0.98, 1.2, 1.4], "same"),  # much, but not sure
        ([1.2, 1.1, 1.3, 1.1, 1.15, 1.2, 0.9, 1.4, 1.3], "worse"),  # nine rounds forgive one
    ],
)
def test_a_version_is_worse_if_the_rounds_are_sure_of_it(ratios: list[float], verdict: str) -> None:
    report = two_versions(ratios)
    judged = versions.judge(report.scenarios[0], "old", "new")
    assert judged.text == verdict
    assert judged.ratio == pytest.approx(sorted(ratios)[len(ratios) // 2])
    text, worse = versions.show(report, "old", "new")
    assert text.splitlines()[1].endswith(verdict)
    assert worse == (verdict == "worse")


def test_the_interval_is_the_one_of_the_order_of_the_ratios() -> None:
    assert versions.interval([1.0]) == (1.0, 1.0)
    assert versions.interval([3.0, 1.0, 2.0]) == (1.0, 3.0)
    assert versions.interval([float(value) for value in range(1, 8)]) == (1.0, 7.0)
    assert versions.interval([float(value) for value in range(1, 10)]) == (2.0, 8.0)
    assert versions.interval([float(value) for value in range(1, 22)]) == (6.0, 16.0)


def test_a_version_that_fails_has_a_line_that_says_how() -> None:
    report = two_versions([1.0, 1.0])
    old, new = report.scenarios[0].rows
    new.failure = "wrong bytes"
    assert versions.judge(report.scenarios[0], "old", "new").text == "fails now: wrong bytes"
    assert versions.show(report, "old", "new")[1]
    old.failure = "too"
    assert versions.judge(report.scenarios[0], "old", "new").text == "both fail: wrong bytes"
    new.failure = ""
    assert versions.judge(report.scenarios[0], "old", "new").text == "works now"
    assert versions.judge(report.scenarios[0], "old", "nobody").text == "not measured"


def test_compare_names_what_only_one_side_has() -> None:
    old, new = make_report(), make_report()
    del old.scenarios[1]
    del new.scenarios[0].rows[2]
    new.scenarios[0].rows[2] = LoopResult("bad<loop>", [sample(5e-6)])
    text, _ = compare_reports(old, new)
    assert "only in the new result" in text
    assert verdicts(text)["bad<loop>"].endswith("works now")
    assert verdicts(text)["uvloop"].endswith("only in the old result")
    assert "only in the old result" in compare_reports(new, old)[0]


def test_progress_on_no_terminal_is_a_line_per_round() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.expect(3)
    for text in ("a, round 1 of 2: x", "a, round 1 of 2: y", "a, round 2 of 2: x"):
        progress.begin(text)
        progress.end()
    progress.close()
    assert stream.getvalue() == "[1/3] a, round 1 of 2\n[3/3] a, round 2 of 2\n"


def test_the_summary_has_a_line_for_each_scenario_and_a_cell_for_each_loop() -> None:
    about, _, head, rule, protocol, memory = markdown.write(make_report()).rstrip().split("\n")
    assert about.startswith("date: today")
    assert cells(head) == [
        *("scenario", "per", "loopkit-epoll", "asyncio", "uvloop", "bad<loop>"),
        *("loopkit-epoll / asyncio", "loopkit-epoll / uvloop"),
    ]
    assert len(cells(rule)) == 8
    assert cells(protocol)[1:] == ["request, us", "8.50", "34.0", "10.0", "failed", "0.25", "0.85"]
    assert cells(memory)[1:] == ["connection, bytes", "-", "3,000", "-", "-", "-", "-"]


def test_the_summary_of_nothing_says_when_that_was() -> None:
    assert markdown.write(Report({"date": "today"})).strip() == "date: today"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
