"""The player, driven in a real browser: steps, jumps, keys, both languages, small and large screens."""

import asyncio
import re
import time

import pytest

import loopkit
from loopkit.diagnostics import observe
from loopkit.diagnostics.capture import Capture, recording_of
from loopkit.diagnostics.lint import SEARCHES
from loopkit.diagnostics.player import page
from loopkit.diagnostics.recording import Call, Poll, Recording, Track, Turn
from loopkit.diagnostics.tracefile import load
from tests.support.browser import CHROMIUM, DRIVER, Browser


async def chat():
    async def serve(reader, writer):
        while line := await reader.readline():
            if line == b"slow\n":
                time.sleep(0.4)
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for line in (b"one\n", b"slow\n", b"</script><b>\n"):
        writer.write(line)
        await reader.readline()
        await asyncio.sleep(0.002)
    writer.close()
    await writer.wait_closed()
    server.close()
    await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def recording():
    loop = loopkit.Loop()
    loop.run_until_complete(chat())  # what is loaded when it is first called for
    capture = Capture(loop, 0)
    observe(loop, capture)
    loop.run_until_complete(chat())
    found = recording_of([capture], title="chat </script> & <b>friends</b>")
    loop.close()
    return found


@pytest.fixture(scope="module")
def file(recording, tmp_path_factory):
    path = tmp_path_factory.mktemp("player") / "page.html"
    path.write_text(page(recording), encoding="utf-8")
    return path


# -- without a browser ---------------------------------------------------------------------------------------


def test_a_page_needs_nothing_but_itself(file):
    text = file.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", text)
    assert "http://" not in text.replace("http://127.0.0.1", "")
    assert "https://" not in text
    assert text.count("</script>") == 2
    assert "default-src 'none'" in text


def test_a_page_is_read_again_as_a_recording(file, recording):
    assert len(load(file).tracks[0].turns) == len(recording.tracks[0].turns)


def test_ten_thousand_turns_are_two_megabytes_at_most():
    track = Track()
    number = 0
    for turn in range(10_000):
        start = turn * 0.00137
        steps = [
            Poll(start, 0.0005, 1.25, ((turn % 40 + 5, 1, f"connection of Echo 127.0.0.1:{turn % 40}"),))
        ]
        for step in range(3):
            number += 1
            at = start + 0.0005 + step * 1e-5
            steps.append(
                Call(
                    at,
                    9e-6,
                    number,
                    "Echo.data_received",
                    None,
                    f"Task-{turn % 40}",
                    "event",
                    turn % 40 + 5,
                    1,
                )
            )
        track.turns.append(Turn(start, 1, 20, 45, steps))
    assert len(page(Recording([track])).encode()) <= 2_000_000


# -- in one --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM or not DRIVER:
        pytest.skip("no chromium with its chromedriver here")
    window = Browser()
    yield window
    window.close()


@pytest.fixture
def opened(browser, file):
    browser.resize(1200, 900)
    browser.get("about:blank")
    browser.get(file.as_uri() + "#lang=en")
    yield browser
    assert browser.errors() == []


pytestmark = pytest.mark.leaks("fds", "threads", "children", reason="the browser lives for the whole file")


def text(driver, name):
    return driver.find(f"#{name}").text


def press(driver, keys):
    driver.find("body").send_keys(keys)


def position(driver):
    return driver.run("return player.pos")


def test_steps_go_forward_and_back(opened):
    assert "step 1 of " in text(opened, "place")
    assert text(opened, "sentence").startswith("The loop asks the kernel")
    opened.find("#forward").click()
    assert "the kernel answers" in text(opened, "sentence")
    press(opened, "\ue014")  # the right arrow
    assert position(opened) == 2
    press(opened, "\ue012")
    assert position(opened) == 1
    press(opened, "\ue010")
    assert position(opened) == opened.run("return player.track.steps.length - 1")
    press(opened, "\ue011")
    assert position(opened) == 0


def test_a_whole_turn_is_skipped(opened):
    opened.find("#next-turn").click()
    assert text(opened, "place").startswith("turn 2 of")
    opened.find("#back-turn").click()
    assert text(opened, "place").startswith("turn 1 of")


def test_the_slowest_callback_is_found_with_its_line_and_why_it_ran(opened):
    press(opened, "s")
    assert "serve" in text(opened, "sentence")
    assert " ms" in text(opened, "sentence")
    here = opened.find("pre .here").text
    assert "await reader.readline()" in here
    chain = opened.find_elements("#chain button")
    assert len(chain) >= 2
    assert "on_readable" in chain[0].text
    assert "the kernel said so" in chain[1].text
    before = position(opened)
    press(opened, "w")
    assert position(opened) < before
    assert "because fd" in text(opened, "sentence")
    press(opened, "r")
    assert position(opened) == before


def test_what_looks_wrong_leads_to_where_it_happened(opened):
    found = opened.find("#findings button")
    assert "blocks: " in found.text
    assert "kept everybody waiting for" in found.text
    press(opened, "l")
    assert re.search(r"阻塞.\S+serve 让大家等了 0\.\d+ 秒", opened.find("#findings button").text)
    press(opened, "l")
    found = opened.find("#findings button")
    found.click()
    assert "serve" in text(opened, "sentence")


def test_both_languages(opened):
    assert opened.find("#language").text == "中文"
    opened.find("#language").click()
    assert "第 1 圈" in text(opened, "place")
    assert "内核" in text(opened, "sentence")
    assert opened.find("#slowest").text == "最慢的回调"
    assert opened.run("return document.documentElement.lang") == "zh-CN"
    press(opened, "l")
    assert text(opened, "place").startswith("turn 1")


def test_every_word_is_there_in_both_languages(opened):
    kinds = {search.__name__.removeprefix("_").replace("_", "-") for search in SEARCHES}
    assert set(opened.run("return Object.keys(WORDS.zh.found)")) == kinds
    missing = opened.run(
        "const keys = (x) => Object.keys(x).sort().join(); const { en, zh } = WORDS;"
        "return [keys(en) === keys(zh), keys(en.kinds) === keys(zh.kinds), en.keys.length === zh.keys.length]"
    )
    assert missing == [True, True, True]


def test_every_step_can_be_shown(opened):
    opened.run("for (let n = 0; n < player.track.steps.length; n++) go(n)")
    for language in ("zh", "en"):
        texts = opened.run(
            f"setLanguage({language!r}); return player.track.steps.map((step) => sentence(step))"
        )
        assert all(texts)
        assert not [line for line in texts if "undefined" in line or "NaN" in line or "%" in line]


def test_playing_goes_on_by_itself_to_the_end(opened):
    # The last steps: the busy poller turns thousands of times in a sleep.
    opened.run("byId('speed').value = 10; go(Math.max(player.track.steps.length - 200, 0))")
    before = position(opened)
    press(opened, " ")
    deadline = time.monotonic() + 25
    while time.monotonic() < deadline and opened.run("return player.timer") is not None:
        opened.wait(50)
    assert before < position(opened) == opened.run("return player.track.steps.length - 1")


def test_a_click_into_the_picture_goes_there(opened):
    press(opened, "s")
    before = position(opened)
    opened.run("""
        const hit = player.hits.find((hit) => hit.pos !== player.pos && hit.x > 120);
        const lanes = byId("lanes"), canvas = lanes.getBoundingClientRect();
        const clientX = canvas.x + lanes.clientLeft + hit.x + 2;
        const clientY = canvas.y + lanes.clientTop + hit.y + 4;
        lanes.dispatchEvent(new MouseEvent("click", { clientX, clientY }));
    """)
    assert position(opened) != before


def test_a_phone_shows_it_without_scrolling_sideways(opened):
    opened.resize(390, 800)
    press(opened, "s")
    assert opened.run("return document.documentElement.scrollWidth <= window.innerWidth")
    assert opened.run("return byId('lanes').clientWidth") > 200


def test_a_phone_begins_with_the_picture(browser, file):
    browser.resize(390, 800)
    browser.get("about:blank")
    browser.get(file.as_uri() + "#lang=en")
    assert not browser.run("return byId('findings').open")
    assert browser.run("return byId('lanes').getBoundingClientRect().top < innerHeight")


def test_a_bar_that_began_before_the_picture_is_cut_off(opened):
    """It ends where it would end, and does not run into the next one."""
    wide, long = opened.run("""
        const last = player.track.steps.length - 1;
        let wide = 0, long = 0;
        for (let pos = 0; pos <= last; pos++) {
            go(pos);
            for (const { step, x, w } of layout(player.track, pos, byId("lanes").clientWidth)) {
                const hit = player.hits.find((hit) => hit.pos === step.pos);
                if (x >= LEFT || !hit) continue;
                wide += 1;
                long += hit.x + hit.w > Math.max(x + w, LEFT + 8) + 1;
            }
        }
        return [wide, long];
    """)
    assert wide
    assert not long


def test_a_picture_is_drawn_for_the_width_it_has(opened):
    """A window that only some of the steps fill would have a scroll bar for those."""
    for height in range(600, 1200, 75):
        opened.resize(1200, height)
        widths = opened.run("""
            const widths = new Set();
            for (let pos = 0; pos < player.track.steps.length; pos++) {
                go(pos);
                widths.add(byId("lanes").clientWidth);
            }
            return [...widths];
        """)
        assert len(widths) == 1, height


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_light_and_dark(browser, file, theme):
    browser.get("about:blank")
    browser.get(f"{file.as_uri()}#theme={theme}")
    paper = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if theme == "light" else "rgb(20, 24, 31)")
    browser.find("#theme").click()
    assert browser.run("return getComputedStyle(document.body).backgroundColor") != paper


def test_a_program_s_names_are_text(opened):
    assert text(opened, "program") == "chat </script> & <b>friends</b>"
    assert opened.find_elements("h1 b") == []


def test_ten_thousand_turns_are_played(browser, tmp_path):
    track = Track()
    for number in range(10_000):
        start = number * 0.001
        call = Call(start + 5e-4, 1e-5, number + 1, "work", None, "Task-1", "soon")
        track.turns.append(Turn(start, 1, 0, 1, [Poll(start, 1e-4, 0.0, ()), call]))
    (tmp_path / "large.html").write_text(page(Recording([track])), encoding="utf-8")
    browser.get((tmp_path / "large.html").as_uri() + "#lang=en")
    press(browser, "\ue010")
    assert text(browser, "place").startswith("turn 10000 of 10000")
