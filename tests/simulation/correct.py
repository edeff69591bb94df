"""Correct programs, which rely on what asyncio documents or what every asyncio program relies on.

None may fail at the levels `time` and `sleep`. Those in `ORDERED` rely on the order in which tasks take
turns: they may fail at level `order`, and are labelled so then.
"""

import asyncio
import contextlib

PROGRAMS = {}

#: Rely on the order of steps of different tasks.
ORDERED = set()


def program(function):
    PROGRAMS[function.__name__] = function
    return function


def ordered(function):
    ORDERED.add(function.__name__)
    return program(function)


@program
async def call_soon_is_first_in_first_out():
    loop, order = asyncio.get_running_loop(), []
    for n in range(5):
        loop.call_soon(order.append, n)
    await asyncio.sleep(0.001)
    assert order == [0, 1, 2, 3, 4]


@program
async def done_callbacks_come_in_order():
    future, order = asyncio.get_running_loop().create_future(), []
    for n in range(5):
        future.add_done_callback(lambda _, n=n: order.append(n))
    future.set_result(None)
    await asyncio.sleep(0.001)
    assert order == [0, 1, 2, 3, 4]


@program
async def timers_come_by_deadline():
    loop, order = asyncio.get_running_loop(), []
    for delay in (0.003, 0.001, 0.002):
        loop.call_later(delay, order.append, delay)
    await asyncio.sleep(0.01)
    assert order == [0.001, 0.002, 0.003]


@program
async def timers_of_one_delay_come_in_the_order_in_which_they_were_made():
    loop, order = asyncio.get_running_loop(), []
    for n in range(5):
        loop.call_later(0.001, order.append, n)
    await asyncio.sleep(0.01)
    assert order == [0, 1, 2, 3, 4]


@program
async def a_sleep_is_never_shorter():
    loop = asyncio.get_running_loop()
    for delay in (0.001, 0.0, 0.005):
        before = loop.time()
        await asyncio.sleep(delay)
        assert loop.time() - before >= delay - 1e-9


@ordered
async def tasks_start_in_the_order_in_which_they_were_made():
    order = []

    async def work(n):
        order.append(n)

    await asyncio.gather(*(work(n) for n in range(5)))
    assert order == [0, 1, 2, 3, 4]


@ordered
async def a_lock_is_fair():
    lock, order = asyncio.Lock(), []

    async def work(n):
        async with lock:
            order.append(n)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(work(n) for n in range(4)))
    assert order == [0, 1, 2, 3]


@program
async def a_counter_under_a_lock_is_right():
    lock, count = asyncio.Lock(), [0]

    async def work():
        for _ in range(3):
            async with lock:
                value = count[0]
                await asyncio.sleep(0.001)
                count[0] = value + 1

    await asyncio.gather(*(work() for _ in range(3)))
    assert count[0] == 9


@program
async def between_two_awaits_nobody_else_runs():
    state = {"a": 0, "b": 0}

    async def work():
        for _ in range(5):
            state["a"] += 1
            state["b"] += 1
            assert state["a"] == state["b"]
            await asyncio.sleep(0.001)

    await asyncio.gather(work(), work(), work())


@program
async def a_queue_is_first_in_first_out():
    queue, seen = asyncio.Queue(), []

    async def produce():
        for n in range(5):
            await queue.put(n)
            await asyncio.sleep(0.001)
        await queue.put(None)

    async def consume():
        while (item := await queue.get()) is not None:
            seen.append(item)

    await asyncio.gather(produce(), consume())
    assert seen == [0, 1, 2, 3, 4]


@program
async def a_bounded_queue_never_holds_more():
    queue = asyncio.Queue(2)

    async def produce():
        for n in range(6):
            await queue.put(n)
            assert queue.qsize() <= 2

    async def consume():
        for _ in range(6):
            await asyncio.sleep(0.001)
            await queue.get()

    await asyncio.gather(produce(), consume())


@program
async def join_waits_for_every_item():
    queue, done = asyncio.Queue(), []

    async def worker():
        while True:
            item = await queue.get()
            try:
                await asyncio.sleep(0.001)
                done.append(item)
            finally:
                queue.task_done()

    workers = [asyncio.create_task(worker()) for _ in range(2)]
    for n in range(5):
        queue.put_nowait(n)
    await queue.join()
    assert sorted(done) == [0, 1, 2, 3, 4]
    for task in workers:
        task.cancel()


@program
async def a_semaphore_lets_no_more_in():
    limit, inside = asyncio.Semaphore(2), [0]

    async def work():
        async with limit:
            inside[0] += 1
            assert inside[0] <= 2
            await asyncio.sleep(0.001)
            inside[0] -= 1

    await asyncio.gather(*(work() for _ in range(5)))


@program
async def a_condition_is_checked_again():
    condition, items, got = asyncio.Condition(), [], []

    async def consume():
        async with condition:
            await condition.wait_for(lambda: items)
            got.append(items.pop())

    async def produce():
        for n in range(2):
            await asyncio.sleep(0.001)
            async with condition:
                items.append(n)
                condition.notify_all()

    await asyncio.gather(consume(), consume(), produce())
    assert sorted(got) == [0, 1]


@program
async def an_event_wakes_everybody():
    event, woken = asyncio.Event(), []

    async def wait(n):
        await event.wait()
        woken.append(n)

    tasks = [asyncio.create_task(wait(n)) for n in range(3)]
    await asyncio.sleep(0.001)
    event.set()
    await asyncio.gather(*tasks)
    assert sorted(woken) == [0, 1, 2]


@program
async def a_barrier_holds_until_all_are_there():
    barrier, before = asyncio.Barrier(3), []

    async def work(delay):
        await asyncio.sleep(delay)
        before.append(delay)
        await barrier.wait()
        assert len(before) == 3

    await asyncio.gather(work(0.001), work(0.002), work(0.003))


@program
async def gather_gives_results_in_the_order_of_its_arguments():
    async def work(n):
        await asyncio.sleep(0.001 * (5 - n))
        return n

    assert await asyncio.gather(*(work(n) for n in range(5))) == [0, 1, 2, 3, 4]


@program
async def a_task_group_waits_for_all_and_cancels_the_others():
    ended = []

    async def fail():
        await asyncio.sleep(0.001)
        raise ValueError

    async def work():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(1)

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work())
            tasks.create_task(work())
            await asyncio.sleep(0)
            tasks.create_task(fail())
            await asyncio.sleep(0.0005)
    except* ValueError:
        pass
    assert len(ended) in (0, 1, 2)  # one that never began has nothing to end


@program
async def finally_runs_when_a_task_is_cancelled():
    ended, began = [], asyncio.Event()

    async def work():
        try:
            began.set()
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.001)
            ended.append(1)

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert ended == [1]


@program
async def a_timeout_ends_what_takes_longer():
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        return
    raise AssertionError


@program
async def an_inner_timeout_is_not_the_outer_one():
    outer = False
    try:
        async with asyncio.timeout(3600):
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()
            except TimeoutError:
                pass
    except TimeoutError:
        outer = True
    assert not outer


@program
async def shield_keeps_the_work_going():
    done = []

    async def work():
        await asyncio.sleep(0.005)
        done.append(1)

    task = asyncio.create_task(work())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), 0.001)
    await task
    assert done == [1]


@program
async def as_completed_gives_every_result():
    async def work(n):
        await asyncio.sleep(0.001 * n)
        return n

    found = [await future for future in asyncio.as_completed([work(3), work(1), work(2)])]
    assert sorted(found) == [1, 2, 3]


@program
async def context_variables_belong_to_a_task():
    import contextvars

    name = contextvars.ContextVar("name")

    async def work(n):
        name.set(n)
        await asyncio.sleep(0.001)
        assert name.get() == n

    await asyncio.gather(*(work(n) for n in range(3)))


@program
async def an_asynchronous_generator_is_closed():
    ended = []

    async def numbers():
        try:
            for n in range(10):
                await asyncio.sleep(0.001)
                yield n
        finally:
            ended.append(1)

    async with contextlib.aclosing(numbers()) as found:
        async for n in found:
            if n == 2:
                break
    assert ended == [1]


@program
async def functions_in_threads_give_their_results():
    assert await asyncio.gather(*(asyncio.to_thread(lambda n=n: n * n) for n in range(4))) == [0, 1, 4, 9]


@program
async def a_stream_is_read_by_lines():
    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for word in (b"one\n", b"two\n", b"three\n"):
        writer.write(word)
        assert await reader.readline() == word.upper()
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    server.close()


@program
async def a_large_answer_arrives_whole():
    data = bytes(range(256)) * 2000

    async def serve(reader, writer):
        writer.write(data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    received = await reader.read(-1)
    assert received == data
    writer.close()
    server.close()


@program
async def sock_operations_move_bytes():
    import socket

    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)

    async def receive():
        found = b""
        while len(found) < 6:
            found += await loop.sock_recv(right, 100)
        return found

    task = asyncio.create_task(receive())
    await loop.sock_sendall(left, b"abc")
    await loop.sock_sendall(left, b"def")
    assert await task == b"abcdef"
    left.close()
    right.close()


@program
async def an_unknown_port_refuses():
    for _ in range(2):
        try:
            await asyncio.open_connection("127.0.0.1", 9)
        except ConnectionRefusedError:
            continue
        raise AssertionError
