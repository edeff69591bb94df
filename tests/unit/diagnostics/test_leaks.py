"""Tasks that leak: are they found, and is nobody accused who has as many tasks and knows what for?

The programs run in simulated time, where a minute takes no time; what is looked at is a recording of it.
"""

import asyncio
import contextlib
import json
import socket

import pytest

import loopkit
from loopkit.diagnostics import observe
from loopkit.diagnostics.capture import Capture, recording_of
from loopkit.diagnostics.leaks import leaks
from loopkit.diagnostics.lint import findings
from loopkit.diagnostics.player import page
from loopkit.diagnostics.recording import Note
from loopkit.diagnostics.tracefile import decode, encode, load
from loopkit.testing.choices import Choices
from loopkit.testing.exploring import attempt
from loopkit.testing.film import Film
from loopkit.testing.running import Program
from tests.support.pythons import cpython_only

# When a simulated run is over, its tasks are cancelled.
pytestmark = pytest.mark.leaks("errors", reason="the streams of 3.11 complain of a handler that is cancelled")


def filmed(main):
    film = Film()
    outcome = attempt(Program(main), Choices({}), 0, film)
    assert outcome.error is None, outcome.error
    return film.recording(None)


def leaks_of(main):
    return {leak.name: leak for leak in leaks(filmed(main).tracks[0])}


def line_of(function, offset):
    return function.__code__.co_firstlineno + offset


# -- what leaks ----------------------------------------------------------------------------------------------


async def site(reader, writer):
    with contextlib.suppress(ConnectionError):
        await reader.readline()
        writer.write(b"hello\n")
        await reader.read()
    writer.close()


async def fetch(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET\n")
    await reader.readline()
    await reader.readline()  # a second line, which no site sends


async def scraper(seconds=30, pause=0.1):
    server = await asyncio.start_server(site, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tasks = []
    for _ in range(int(seconds / pause)):
        tasks.append(asyncio.create_task(fetch(port)))
        await asyncio.sleep(pause)


def test_a_scraper_whose_sites_say_no_more_leaks_its_fetches_and_not_the_sites():
    found = leaks_of(scraper)
    assert set(found) == {"fetch"}
    leak = found["fetch"]
    assert (leak.place.file, leak.place.line) == (__file__, line_of(fetch, 4))
    assert (leak.origin.file, leak.origin.line) == (__file__, line_of(scraper, 5))
    assert 200 < leak.count < 300
    assert leak.waited >= 30 / 4


def test_a_finding_names_both_lines_and_is_the_same_from_a_file(tmp_path):
    recording = filmed(scraper)
    (finding,) = findings(recording.tracks[0])
    assert finding.kind == "leaks"
    assert f"tasks of fetch, begun in {finding.parts[3]}, have neither ended nor run again" in finding.text
    assert finding.parts[3].endswith(f"test_leaks.py:{line_of(scraper, 5)}")
    assert str(finding).endswith(f"test_leaks.py:{line_of(fetch, 4)})")
    (tmp_path / "t.html").write_text(page(recording), encoding="utf-8")
    assert [str(again) for again in findings(load(tmp_path / "t.html").tracks[0])] == [str(finding)]


def test_a_few_that_hang_among_many_that_do_not_are_found():
    async def work(hangs):
        await (asyncio.get_running_loop().create_future() if hangs else asyncio.sleep(0.5))

    async def main():
        for number in range(600):
            asyncio.create_task(work(number % 5 == 0))
            await asyncio.sleep(0.1)

    (leak,) = leaks_of(main).values()
    assert leak.name.endswith("work")
    assert leak.count < 120


def test_a_server_that_begins_a_task_for_each_request_of_clients_that_have_gone():
    async def log():
        await asyncio.Event().wait()

    async def serve(reader, writer):
        await reader.readline()
        writer.write(b"bye\n")
        tasks.append(asyncio.create_task(log()))
        writer.close()

    tasks = []

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        for _ in range(200):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hi\n")
            assert await reader.read() == b"bye\n"
            writer.close()
            await asyncio.sleep(0.2)

    (leak,) = leaks_of(main).values()
    assert leak.name.endswith("log")


def test_a_task_for_each_message_of_one_connection():
    async def digest(line):
        await asyncio.Event().wait()

    async def feed(reader, writer):
        for _ in range(200):
            writer.write(b"news\n")
            await asyncio.sleep(0.2)
        writer.close()

    async def main():
        server = await asyncio.start_server(feed, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        tasks = []
        while line := await reader.readline():
            tasks.append(asyncio.create_task(digest(line)))
        writer.close()

    (leak,) = leaks_of(main).values()
    assert leak.name.endswith("digest")


def test_tasks_of_one_name_and_tasks_that_change_it_are_told_apart():
    async def ends():
        await asyncio.sleep(0.5)
        asyncio.current_task().set_name("about to end")
        await asyncio.sleep(0.5)

    async def main():
        for _ in range(300):
            asyncio.create_task(ends(), name="the same")
            await asyncio.sleep(0.1)

    assert leaks_of(main) == {}


# -- what does not -------------------------------------------------------------------------------------------


async def idle_clients(port, count=200, pause=0.1):
    """So many, one after the other, of whom none says anything."""
    loop = asyncio.get_running_loop()
    socks = []
    for _ in range(count):
        socks.append(sock := socket.socket())
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await asyncio.sleep(pause)
    for sock in socks:
        sock.close()


async def streams():
    async def serve(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await idle_clients(server.sockets[0].getsockname()[1])


async def two_tasks_a_connection():
    async def listen(reader):
        await reader.read()

    async def talk(queue):
        await queue.get()

    async def serve(reader, writer):
        both = asyncio.create_task(listen(reader)), asyncio.create_task(talk(asyncio.Queue()))
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        both[1].cancel()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    await idle_clients(server.sockets[0].getsockname()[1])


async def a_protocol_that_begins_a_task():
    class Server(asyncio.Protocol):
        def connection_made(self, transport):
            self.task = asyncio.create_task(self.work())

        async def work(self):
            await asyncio.Event().wait()

    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    await idle_clients(server.sockets[0].getsockname()[1])


async def sock_accept():
    loop = asyncio.get_running_loop()

    async def talk(sock):
        with sock:
            await loop.sock_recv(sock, 100)

    async def serve(listener):
        tasks = []
        while True:
            sock, _ = await loop.sock_accept(listener)
            sock.setblocking(False)
            tasks.append(asyncio.create_task(talk(sock)))

    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        listener.setblocking(False)
        server = asyncio.create_task(serve(listener))
        await idle_clients(listener.getsockname()[1])
        server.cancel()


async def a_pool():
    async def worker(queue):
        while True:
            await queue.get()

    queue = asyncio.Queue()
    workers = [asyncio.create_task(worker(queue)) for _ in range(200)]
    for _ in range(100):
        await asyncio.sleep(0.3)
    assert workers


async def a_pool_that_has_grown_and_rests():
    """As a load test does that begins slowly."""

    async def client():
        await asyncio.Event().wait()

    clients = []
    for _ in range(200):
        clients.append(asyncio.create_task(client()))
        await asyncio.sleep(0.1)
    for _ in range(100):
        await asyncio.sleep(0.3)


async def a_crawl():
    async def get(limit):
        async with limit:
            await asyncio.sleep(1)

    limit = asyncio.Semaphore(10)
    tasks = [asyncio.create_task(get(limit)) for _ in range(2000)]
    await asyncio.wait(tasks, timeout=60)


async def a_crawl_that_finds_more_than_it_gets():
    async def get(limit):
        async with limit:
            await asyncio.sleep(1)

    limit = asyncio.Semaphore(5)
    tasks = []
    for _ in range(600):
        tasks.append(asyncio.create_task(get(limit)))
        await asyncio.sleep(0.1)


async def a_cache():
    async def expire():
        await asyncio.sleep(3600)

    tasks = []
    for _ in range(600):
        tasks.append(asyncio.create_task(expire()))
        await asyncio.sleep(0.1)


async def answers_that_take_long():
    async def ask():
        answer = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(25, answer.set_result, None)
        await answer

    tasks = []
    for _ in range(600):
        tasks.append(asyncio.create_task(ask()))
        await asyncio.sleep(0.1)


async def a_short_time():
    await scraper(4, 0.01)


async def a_few():
    await scraper(300, 10)


INNOCENT = [
    streams,
    two_tasks_a_connection,
    a_protocol_that_begins_a_task,
    sock_accept,
    a_pool,
    a_pool_that_has_grown_and_rests,
    a_crawl,
    a_crawl_that_finds_more_than_it_gets,
    a_cache,
    answers_that_take_long,
    a_short_time,
    a_few,
]


@pytest.mark.parametrize("main", INNOCENT)
def test_nobody_is_accused_who_knows_what_for(main):
    assert leaks_of(main) == {}


def test_a_recording_of_before_that_does_not_tell_of_tasks_accuses_nobody():
    data = json.loads(json.dumps(encode(filmed(scraper))))
    for loop in data["loops"]:
        del loop["renamed"], loop["waiting"]
        at = 0
        kept = []
        for row in loop["steps"]:
            at += row[1]
            if row[0] not in ("b", "d"):
                kept.append([row[0], at, *row[2:]])
                at = 0
        loop["steps"] = kept
    track = decode(data).tracks[0]
    assert sum(1 for _ in track.calls()) > 1000
    assert findings(track) == []


# -- what is told of tasks -----------------------------------------------------------------------------------


def test_a_task_begins_ends_and_is_itself_under_any_name():
    async def renamed():
        await asyncio.sleep(0)
        asyncio.current_task().set_name("later")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def waits():
        await asyncio.Event().wait()

    async def main():
        first, second = (asyncio.create_task(renamed(), name="twin") for _ in range(2))
        waiting = asyncio.create_task(waits(), name="waits")
        cancelled = asyncio.create_task(waits(), name="cancelled")
        await asyncio.gather(first, second)
        cancelled.cancel()
        await asyncio.sleep(0)
        recordings.append(recording_of([capture]))
        waiting.cancel()

    recordings = []
    loop = loopkit.Loop()
    capture = Capture(loop, 0)
    observe(loop, capture)
    loop.run_until_complete(main())
    loop.close()
    for recording in (recordings[0], decode(json.loads(json.dumps(encode(recordings[0]))))):
        track = recording.tracks[0]
        notes = [step for step in track.steps() if isinstance(step, Note) and step.kind in ("b", "d")]
        begun = {note.facts[1]: note.facts[0] for note in notes if note.kind == "b"}
        ended = {note.facts[1]: (note.facts[0], note.facts[2]) for note in notes if note.kind == "d"}
        assert sorted(begun.values())[-4:] == ["cancelled", "twin", "twin", "waits"]
        twins = [of for of, name in begun.items() if name == "twin"]
        assert len(twins) == 2
        assert [ended[of] for of in twins] == [("later", 0)] * 2
        for of in twins:
            assert [call.task for call in track.calls() if call.of == of] == [
                "twin",
                "twin",
                "later",
                "later",
            ]
        (waiting,) = [of for of, name in begun.items() if name == "waits"]
        assert waiting not in ended
        assert track.waiting[waiting].line == line_of(waits, 1)
        assert [how for name, how in ended.values() if name == "cancelled"] == [1]


@cpython_only("its tasks end when somebody looks for garbage")
def test_a_task_that_nobody_holds_is_not_held_by_who_observes_it():
    gone = []

    class Thing:
        def __del__(self):
            gone.append(True)

    async def keeps(thing):
        await asyncio.sleep(0)

    async def main():
        asyncio.create_task(keeps(Thing()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert gone

    loop = loopkit.Loop()
    observe(loop, Capture(loop, 0))
    loop.run_until_complete(main())
    loop.close()
