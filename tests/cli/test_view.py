"""`loopkit view` on a terminal: does each key do what it says, and does what is drawn fit, at any size?"""

import fcntl
import json
import os
import re
import signal
import struct
import termios
import unicodedata

import pytest

from loopkit.cli.screen import KEYS, NAMES, Screen
from loopkit.diagnostics.recording import Call, Poll, Recording, Track, Turn
from loopkit.diagnostics.stacks import Place
from loopkit.diagnostics.tracefile import encode
from tests.cli.commands import Terminal, run_loopkit

FILE = "/home/学生/作业.py"


def recorded():
    """Twenty turns of a poll and two callbacks each, of which number 15 is slow; and another loop."""
    track, number = Track("loop 1"), 0
    for n in range(20):
        at = n / 10
        steps = [Poll(at, 0.01, 0.05, ((5, 1, "connection of 服务器 127.0.0.1:1"),))]
        for why in ("event", "soon"):
            number += 1
            took = 0.2 if number == 15 else 0.001
            place = Place(FILE, 7, f"处理_{number}")
            by = number - 1 if why == "soon" else 0
            call = Call(at + 0.02, took, number, f"处理_{number}", place, "", why, 5, 1, by=by, origin=place)
            steps.append(call)
        track.turns.append(Turn(at, 1, 0, 5, steps))
    other = Track("loop 2", turns=[Turn(0.0, 0, 0, 0, [Poll(0.0, 1.0, None, ())])])
    lines = {FILE: dict.fromkeys(range(4, 11), "\tx = '\x1b[2J 很长的一行" * 9)}
    return Recording([other, track], lines=lines)


def columns(line):
    plain = re.sub(r"\x1b\[\d*m", "", line)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in plain)


@pytest.mark.parametrize(
    ("width", "height"), [(80, 24), (20, 5), (200, 60), (40, 12), (3, 3), (1, 1), (80, 2)]
)
def test_nothing_is_drawn_beyond_the_terminal(width, height):
    screen = Screen(recorded())
    for key in ("", "n", "s", "f", "end", "l"):
        screen.press(key)
        lines = screen.lines(width, height)
        assert len(lines) <= height
        assert max(map(columns, lines)) <= width
        assert "\x1b[2J" not in "".join(lines)


def test_where_one_is_can_be_seen_at_any_place_and_without_colours(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen(recorded())
    for _ in range(len(screen.steps)):
        for size in ((80, 24), (20, 5), (10, 1)):
            (here,) = [line for line in screen.lines(*size) if re.match(r"> +\d+\.", line)]
            assert "\x1b" not in here
        screen.press("n")
    monkeypatch.delenv("NO_COLOR")
    assert any(line.startswith("\x1b[7m>") for line in screen.lines(80, 24))


def test_each_key_goes_where_it_says():
    screen = Screen(recorded())

    def at(*keys):
        for key in keys:
            assert screen.press(key)
        return screen.at

    assert (at("n"), at("right"), at("down"), at("p"), at("left"), at("up")) == (1, 2, 3, 2, 1, 0)
    assert at("up", "page up", "P") == 0
    assert (at("N"), at("n", "P"), at("P")) == (3, 3, 0)
    assert at("end") == 59
    assert at("N", "n", "page down") == 59
    assert at("home") == 0
    screen.lines(80, 24)
    assert at("page down") == screen.page > 3
    before = screen.at
    assert at("s") == screen.calls[15]
    assert at("w") == screen.calls[15] - 1  # the poll that reported it
    assert at("w") == screen.at  # a poll has no cause
    assert at("r") == screen.calls[15]
    assert at("r") == before
    assert at("r") == before
    assert at("f") == screen.calls[15]
    assert "blocks: 处理_15 kept everybody waiting for 0.200 s" in "".join(screen.lines(200, 24))
    assert at("", "x", "escape") == screen.calls[15]
    assert at("l") == 0
    assert screen.track.name == "loop 2"
    assert at("s", "w", "f", "N", "n") == 0
    at("l")
    assert screen.track.name == "loop 1"
    assert not screen.press("q")


def test_every_key_that_is_advertised_is_obeyed():
    screen = Screen(recorded())
    shown = screen.lines(200, 24)[-1]
    assert all(words in shown for words in KEYS)
    assert screen.lines(20, 5)[-1].startswith("q quit")


# -- on a terminal -------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps(encode(recorded())), encoding="utf-8")
    return tmp_path


def resize(terminal, width, height):
    """As a window does: the kernel tells who has the terminal."""
    fcntl.ioctl(terminal.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


SEQUENCES = [(name, sequence) for name in ("down", "right", "N", "end") for sequence in NAMES[name]]
GOES = {"down": "0.020000  #1", "right": "0.020000  #1", "N": "0.100000  poll", "end": "1.920000  #40"}


@pytest.mark.parametrize(("name", "sequence"), SEQUENCES)
def test_a_key_is_known_however_the_terminal_writes_it(file, name, sequence):
    with Terminal("view", "t.json", cwd=file) as terminal:
        terminal.expect("q quit")
        terminal.type(f"\x1b{sequence}")
        terminal.expect(f">   {GOES[name]}")
        terminal.type("q")
        assert terminal.ended() == 0


def test_escape_and_keys_that_mean_nothing_take_no_other_key_with_them(file):
    with Terminal("view", "t.json", cwd=file) as terminal:
        for nothing in ("\x1b", "\x1b[15~", "\x1b[1;5C", "x", "\x1bx", "\x1b[200~", "中"):
            terminal.expect("q quit")
            terminal.type(nothing)
        terminal.expect("q quit")
        terminal.type("n")
        terminal.expect(">   0.020000  #1")
        terminal.type("nq")
        assert terminal.ended() == 0
        assert ">   0.020000  #2" in terminal.unread


def test_the_screen_follows_its_window(file):
    with Terminal("view", "t.json", cwd=file) as terminal:
        terminal.expect("PgUp PgDn Home End")
        resize(terminal, 20, 5)
        terminal.expect("q quit\x1b[K\x1b[J")
        resize(terminal, 200, 60)
        terminal.expect("PgUp PgDn Home End")
        terminal.type("q")
        assert terminal.ended() == 0


@pytest.mark.parametrize("key", ["\x03", "\x04", "q"])
def test_the_terminal_is_given_back_as_it_was(file, key):
    with Terminal("view", "t.json", cwd=file) as terminal:
        terminal.expect("q quit")
        terminal.type(key)
        assert terminal.ended() == (130 if key == "\x03" else 0)
        assert terminal.unread.endswith("\x1b[?25h\x1b[?1049l")


def test_ctrl_z_gives_it_back_until_the_program_goes_on(file):
    with Terminal("view", "t.json", cwd=file) as terminal:
        terminal.expect("q quit")
        terminal.type("\x1a")
        terminal.expect("\x1b[?1049l")
        assert os.WIFSTOPPED(os.waitpid(terminal.process.pid, os.WUNTRACED)[1])
        terminal.process.send_signal(signal.SIGCONT)
        terminal.expect("\x1b[?1049h")
        terminal.expect("q quit")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.ended() == 128 + signal.SIGTERM
        assert terminal.unread.endswith("\x1b[?1049l")


def test_a_terminal_that_can_do_nothing_gets_the_text(file):
    with Terminal("view", "t.json", cwd=file, TERM="dumb") as terminal:
        assert terminal.ended() == 0
        assert "\x1b" not in terminal.unread
        assert "turn 20: 1 ready" in terminal.unread


@pytest.mark.parametrize("words", [(), ("--lint",)])
def test_where_not_every_letter_can_be_written_the_others_are(file, words):
    ended = run_loopkit("view", "t.json", *words, cwd=file, PYTHONIOENCODING="ascii")
    assert ended.err == ""
    assert ended.code == (1 if words else 0)
    assert r"\u5904\u7406_15 kept everybody waiting" in ended.out
    with Terminal("view", "t.json", cwd=file, PYTHONIOENCODING="ascii") as terminal:
        terminal.expect("q quit")
        terminal.type("s")
        terminal.expect("#15 ??_15")
        terminal.type("q")
        assert terminal.ended() == 0


def test_a_program_whose_name_is_no_text_is_traced_and_viewed(tmp_path):
    name = b"caf\xe9.py"
    with open(os.fsencode(tmp_path) + b"/" + name, "w") as file:
        file.write("import asyncio\nasync def main(): await asyncio.sleep(0)\nasyncio.run(main())\n")
    for form in ("t.json", "t.html", "t.txt"):
        ended = run_loopkit("trace", "-o", form, os.fsdecode(name), cwd=tmp_path)
        assert (ended.code, ended.out) == (0, "")
        assert f"wrote {form}" in ended.err
    for form in ("t.json", "t.html"):
        ended = run_loopkit("view", form, cwd=tmp_path)
        assert (ended.code, ended.err) == (0, "")
        assert "main [Task-1]" in ended.out
