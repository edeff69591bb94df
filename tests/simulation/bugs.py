"""Classic bugs of asyncio programs, each with its repaired twin.

`BUGS[name](repaired)` is a main function for `explore`. On asyncio as it is, undisturbed, each passes: a test
that runs it once sees nothing.
"""

import asyncio
import contextlib

BUGS = {}


def bug(function):
    BUGS[function.__name__] = function
    return function


@bug
def lost_update(repaired):
    """Read, wait, write: what others wrote meanwhile is overwritten."""

    async def main():
        account, lock = {"balance": 0}, asyncio.Lock()

        async def deposit():
            async with lock if repaired else contextlib.nullcontext():
                balance = account["balance"]
                await asyncio.sleep(0.001)
                account["balance"] = balance + 1

        async def later():
            await asyncio.sleep(0.0015)
            await deposit()

        await asyncio.gather(deposit(), later())
        assert account["balance"] == 2

    return main


@bug
def check_then_act(repaired):
    """What was checked is no longer true when it is acted upon."""

    async def main():
        stock, lock = {"items": 1}, asyncio.Lock()

        async def buy(delay):
            await asyncio.sleep(delay)
            async with lock if repaired else contextlib.nullcontext():
                if stock["items"] > 0:
                    await asyncio.sleep(0.0002)
                    stock["items"] -= 1

        await asyncio.gather(buy(0.001), buy(0.0015))
        assert stock["items"] >= 0

    return main


@bug
def double_initialisation(repaired):
    """Two tasks find that nobody has initialised yet."""

    async def main():
        made, lock = [], asyncio.Lock()

        async def connection():
            async with lock if repaired else contextlib.nullcontext():
                if not made:
                    await asyncio.sleep(0.0003)
                    made.append(object())
            return made[0]

        async def use(delay):
            await asyncio.sleep(delay)
            await connection()

        await asyncio.gather(use(0.001), use(0.0015))
        assert len(made) == 1

    return main


@bug
def lost_wake_up(repaired):
    """The event is cleared after the check: what was set in between is lost."""

    async def main():
        queue, event, seen = [], asyncio.Event(), []

        async def consume():
            while len(seen) < 3:
                if repaired:
                    event.clear()
                seen.extend(queue)
                queue.clear()
                if len(seen) == 3:
                    return
                await asyncio.sleep(0)
                if not repaired:
                    event.clear()
                    await event.wait()
                elif not queue:
                    await event.wait()

        async def produce():
            for n in range(3):
                await asyncio.sleep(0.001)
                queue.append(n)
                event.set()

        await asyncio.gather(consume(), produce())
        assert seen == [0, 1, 2]

    return main


@bug
def lock_order(repaired):
    """Two locks, taken in opposite orders."""

    async def main():
        left, right = asyncio.Lock(), asyncio.Lock()

        async def transfer(delay, first, second):
            await asyncio.sleep(delay)
            async with first:
                await asyncio.sleep(0.0002)
                async with second:
                    pass

        back = (left, right) if repaired else (right, left)
        await asyncio.gather(transfer(0.001, left, right), transfer(0.0015, *back))

    return main


@bug
def resource_lost_by_timeout(repaired):
    """The timeout comes when the resource is there already, and nobody has it."""

    async def main():
        free = ["connection"]

        async def acquire():
            resource = free.pop()
            if repaired:
                try:
                    await asyncio.sleep(0.001)
                except BaseException:
                    free.append(resource)
                    raise
            else:
                await asyncio.sleep(0.001)
            return resource

        async def use():
            try:
                resource = await asyncio.wait_for(acquire(), 0.002)
            except TimeoutError:
                return
            free.append(resource)

        await use()
        assert free == ["connection"]

    return main


@bug
def semaphore_leaked_by_cancel(repaired):
    """Cancelled between acquire and the try that releases."""

    async def main():
        limit = asyncio.Semaphore(1)

        async def work():
            await limit.acquire()
            if not repaired:
                await asyncio.sleep(0.001)
            try:
                await asyncio.sleep(0.001)
            finally:
                limit.release()

        task = asyncio.create_task(work())
        await asyncio.sleep(0.0015)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await limit.acquire()

    return main


@bug
def double_release(repaired):
    """Released by who gave up waiting, and by who did the work."""

    async def main():
        limit, inside, most = asyncio.Semaphore(1), [], []

        async def work():
            await limit.acquire()
            inside.append(1)
            most.append(len(inside))
            await asyncio.sleep(0.002)
            inside.pop()
            limit.release()

        async def client():
            task = asyncio.create_task(work())
            try:
                await asyncio.wait_for(asyncio.shield(task), 0.003)
            except TimeoutError:
                if not repaired:
                    limit.release()
                await task

        await asyncio.gather(client(), _after(0.0025, work), _after(0.0027, work))
        assert max(most) == 1

    return main


async def _after(delay, function):
    await asyncio.sleep(delay)
    await function()


@bug
def producer_ends_first(repaired):
    """The consumer stops when the producer is done, not when the queue is empty."""

    async def main():
        queue, seen = asyncio.Queue(), []

        async def produce():
            for n in range(4):
                await asyncio.sleep(0.001)
                queue.put_nowait(n)

        async def consume(producer):
            while not producer.done() or (repaired and not queue.empty()):
                with contextlib.suppress(TimeoutError):
                    seen.append(await asyncio.wait_for(queue.get(), 0.01))
                    await asyncio.sleep(0.0005)

        producer = asyncio.create_task(produce())
        await consume(producer)
        assert seen == [0, 1, 2, 3]

    return main


@bug
def join_miscounts(repaired):
    """A timeout between get() and task_done(): join() waits for ever."""

    async def main():
        queue = asyncio.Queue()
        for n in range(3):
            queue.put_nowait(n)

        async def handle():
            await queue.get()
            if repaired:
                try:
                    await asyncio.sleep(0.001)
                finally:
                    queue.task_done()
            else:
                await asyncio.sleep(0.001)
                queue.task_done()

        async def worker():
            while not queue.empty():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(handle(), 0.003)

        await asyncio.gather(worker(), queue.join())

    return main


@bug
def shield_misuse(repaired):
    """shield() keeps the work alive, and nobody waits for it."""

    async def main():
        written = []

        async def save():
            await asyncio.sleep(0.001)
            written.append("half")
            await asyncio.sleep(0.001)
            written.append("rest")

        task = asyncio.create_task(save())
        try:
            await asyncio.wait_for(asyncio.shield(task), 0.0025)
        except TimeoutError:
            if repaired:
                await task
        assert written == ["half", "rest"]

    return main


@bug
def events_out_of_order(repaired):
    """A task for each message: the second may be done before the first."""

    async def main():
        handled = []

        async def handle(message):
            await asyncio.sleep(0.001)
            handled.append(message)

        tasks = []
        for n in range(3):
            await asyncio.sleep(0.0002)
            if repaired:
                await handle(n)
            else:
                tasks.append(asyncio.create_task(handle(n)))
        await asyncio.gather(*tasks)
        assert handled == [0, 1, 2]

    return main


@bug
def swallowed_cancel(repaired):
    """`except BaseException` around one attempt: who is cancelled there goes on."""

    async def main():
        attempts, expected = [], (Exception if repaired else BaseException)

        async def poll():
            while len(attempts) < 20:
                attempts.append(1)
                try:
                    await asyncio.sleep(0.001)
                except expected:
                    pass
                await asyncio.sleep(0.0005)

        task = asyncio.create_task(poll())
        await asyncio.sleep(0.0013)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    return main


@bug
def wait_for_loses_the_cancel(repaired):
    """A home-made wait_for takes its caller's cancellation for its own (bpo-42130)."""

    async def main():
        async def own_wait_for(awaitable, timeout):
            task = asyncio.ensure_future(awaitable)
            try:
                await asyncio.wait([task], timeout=timeout)
            except asyncio.CancelledError:
                if task.done() and not repaired:
                    return task.result()
                task.cancel()
                raise
            return task.result()

        async def serve():
            for _ in range(20):
                await own_wait_for(asyncio.sleep(0.001), None)

        task = asyncio.create_task(serve())
        await asyncio.sleep(0.0045)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    return main


@bug
def double_checkout(repaired):
    """The pool looks which connection is free, checks that it is alive, and then takes it."""

    async def main():
        free, used, lock = ["a", "b"], [], asyncio.Lock()

        async def checkout():
            async with lock if repaired else contextlib.nullcontext():
                connection = free[0]
                await asyncio.sleep(0.0003)  # SELECT 1
                if connection in free:
                    free.remove(connection)
                used.append(connection)
            return connection

        async def request(delay):
            await asyncio.sleep(delay)
            connection = await checkout()
            assert used.count(connection) == 1, f"{connection} was given out twice"
            await asyncio.sleep(0.001)
            used.remove(connection)
            free.append(connection)

        await asyncio.gather(request(0.001), request(0.0015))

    return main


@bug
def reconnect_storm(repaired):
    """Each request that finds no connection makes one."""

    async def main():
        connects, made, state = [], [], {"connection": None, "pending": None}

        async def handle(reader, writer):
            connects.append(1)
            while await reader.read(100):
                writer.write(b"pong")
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def connect():
            state["connection"] = await asyncio.open_connection("127.0.0.1", port)
            made.append(state["connection"])

        async def request(delay):
            await asyncio.sleep(delay)
            if state["connection"] is None:
                if not repaired:
                    await connect()
                else:
                    state["pending"] = state["pending"] or asyncio.ensure_future(connect())
                    await state["pending"]

        await asyncio.gather(*(request(0.001 * n) for n in range(3)))
        await asyncio.sleep(1)
        assert len(connects) <= 1
        state["connection"][1].close()
        server.close()

    return main


@bug
def half_open_peer(repaired):
    """The client stops waiting after a while; its answer comes on the connection all the same."""

    async def main():
        async def serve(reader, writer):
            while line := await reader.readline():
                writer.write(b"answer to " + line)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        for n in range(3):
            request = b"%d\n" % n
            writer.write(request)
            try:
                answer = await asyncio.wait_for(reader.readline(), 0.5)
            except TimeoutError:
                if repaired:  # whatever is under way there belongs to the request that was given up
                    writer.close()
                    reader, writer = await asyncio.open_connection(*address)
                continue
            assert answer == b"answer to " + request
        writer.close()
        server.close()

    async def disturbed():
        # Something else is due, so that an answer can come later than that.
        ticks = asyncio.create_task(asyncio.sleep(0.7))
        await main()
        await ticks

    return disturbed


@bug
def slow_reader(repaired):
    """One read() is taken for one message."""

    async def main():
        messages = []

        async def serve(reader, writer):
            for _ in range(3):
                if repaired:
                    messages.append(await reader.readexactly(5))
                else:
                    messages.append(await reader.read(100))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for n in range(3):
            writer.write(b"msg %d" % n)
            await asyncio.sleep(0.01)
        await reader.read()
        writer.close()
        server.close()
        assert messages == [b"msg 0", b"msg 1", b"msg 2"]

    return main


@bug
def callback_after_close(repaired):
    """A timer that nobody stopped works on what is closed by then."""

    async def main():
        loop, resource = asyncio.get_running_loop(), {"open": True, "errors": 0}

        def heartbeat():
            if not resource["open"]:
                resource["errors"] += 1

        timer = loop.call_later(0.002, heartbeat)

        async def work():
            await asyncio.sleep(0.001)

        async def supervise():
            await asyncio.sleep(0.0015)
            if repaired:
                timer.cancel()
            resource["open"] = False
            if not repaired:
                for _ in range(3):  # says good-bye to others first
                    await asyncio.sleep(0)
                timer.cancel()

        await asyncio.gather(work(), supervise())
        await asyncio.sleep(0.01)
        assert not resource["errors"]

    return main


@bug
def stale_cache(repaired):
    """An answer that was on its way when the cache was invalidated is stored after that."""

    async def main():
        database, cache, version = {"x": 1}, {}, [0]

        async def fetch():
            seen = version[0]
            value = database["x"]
            await asyncio.sleep(0.001)
            if not repaired or seen == version[0]:
                cache["x"] = value

        async def update():
            await asyncio.sleep(0.0015)
            database["x"] = 2
            version[0] += 1
            cache.pop("x", None)

        await asyncio.gather(fetch(), update())
        assert cache.get("x", 2) == 2

    return main
