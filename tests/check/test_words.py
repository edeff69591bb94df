"""Is everything said in both languages, and the same?"""

# ruff: noqa: RUF001 - Chinese punctuation

import re
import string

import pytest

from loopkit.check.checks import CHECKS
from loopkit.check.examine import Options, Outcome
from loopkit.check.patience import Trouble
from loopkit.check.report import WIDTH, lines
from loopkit.check.room import ANSWERS, ANY
from loopkit.check.words import LANGUAGES, TEXTS, language, say


@pytest.mark.parametrize("name", TEXTS)
def test_both_languages_have_the_same_places_to_fill(name: str) -> None:
    texts = TEXTS[name]
    assert len(texts) == len(LANGUAGES)
    assert all(texts)
    places = [sorted({place for _, place, _, _ in string.Formatter().parse(text) if place}) for text in texts]
    assert places[0] == places[1]


@pytest.mark.parametrize("name", TEXTS)
def test_each_language_is_written_in_its_own_characters(name: str) -> None:
    english, chinese = TEXTS[name]
    assert english.isascii()
    words = re.search("[a-z]", re.sub(r"\{.*?\}", "", english))
    assert any("\u4e00" <= character <= "\u9fff" for character in chinese) or not words


def test_every_check_has_its_texts() -> None:
    for check in CHECKS:
        for kind in ("title", "fault", "hint"):
            assert f"{check.name}.{kind}" in TEXTS
    for answer in (*ANSWERS, *ANY):
        assert f"answers.{answer}" in TEXTS


def test_what_a_check_needs_comes_before_it() -> None:
    before: set[str] = set()
    for check in CHECKS:
        assert set(check.needs) <= before
        before.add(check.name)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({"LANG": "", "LC_ALL": ""}, "en"),
    ],
)
def test_the_language_is_that_of_the_environment(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language() == expected


def test_bytes_are_quoted_as_text() -> None:
    said = say("zh", "other", {"wanted": "世界\n".encode(), "got": b"\xe4\xb8"})
    assert said == r"应是 '世界\n'，来的是 '\\xe4\\xb8'"


def test_exit_codes_are_said_in_the_reader_s_language() -> None:
    ways = [
        Trouble("in-answer-to", command="x.py", words=3),
        Trouble("in-answer-to", command="x.py 1", words="no"),
    ]
    assert say("zh", "ended", {"words": 0}) == "程序结束了：退出码 0"
    assert say("zh", "ended", {"words": ways}) == "程序结束了：`x.py`：退出码 3；`x.py 1`：no"
    assert say("en", "ended", {"words": ways}) == "the program has ended: `x.py`: exit code 3; `x.py 1`: no"


def columns(line: str) -> int:
    return sum(2 if ord(character) > 0x2E80 else 1 for character in line)


def test_words_are_not_cut_beside_chinese_ones() -> None:
    values = {"wanted": "世界，" * 20 + "loopkit " * 20, "got": b"unbreakable" * 3}
    shown = lines(Outcome("answers", "fault", "other", values), Options(), "zh")
    assert sum(line.count("loopkit") for line in shown) == 20
    assert any("unbreakable" * 3 in line for line in shown)
    assert not any(line.lstrip().startswith("，") for line in shown)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_long_explanations_are_wrapped_and_lose_nothing(lang: str) -> None:
    outcome = Outcome("idle", "fault", "busy", {"percent": 99})
    title, *rest = lines(outcome, Options(), lang)
    assert say(lang, "idle.title") in title
    assert all(columns(line) <= WIDTH for line in rest)
    shown = "".join(line.strip().replace(" ", "") for line in rest)
    assert say(lang, "idle.hint").replace(" ", "") in shown


@pytest.mark.parametrize("lang", LANGUAGES)
def test_explanations_stand_below_the_title(lang: str) -> None:
    title, *rest = lines(Outcome("idle", "fault", "busy", {"percent": 99}), Options(), lang)
    at = columns(title.partition(say(lang, "idle.title"))[0])
    assert rest
    assert {len(line) - len(line.lstrip()) for line in rest} == {at}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_skipped_check_takes_one_line_that_says_why(lang: str) -> None:
    (line,) = lines(Outcome("crowd", "skipped", "needs", {"check": "together"}), Options(), lang)
    assert line.startswith(say(lang, "status.skipped"))
    assert say(lang, "crowd.title", {"connections": 1000}) in line
    assert say(lang, "together.title") in line
