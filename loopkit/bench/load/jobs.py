"""The jobs the load process can do: a job comes as a dictionary and its sample goes back as one."""

from __future__ import annotations

import contextlib
import resource
import statistics
import time
from typing import TYPE_CHECKING, Any

from loopkit.bench.load.churn import ChurnLoad
from loopkit.bench.load.compiled import Wrk
from loopkit.bench.load.connections import Broken, Peer
from loopkit.bench.load.crowd import Backlog, Crowd, open_idle
from loopkit.bench.load.echo import EchoLoad
from loopkit.bench.load.exchanges import EXCHANGES
from loopkit.bench.load.meter import Meter
from loopkit.bench.load.talk import TalkLoad

if TYPE_CHECKING:
    from collections.abc import Callable

Job = dict[str, Any]
Sample = dict[str, float]
# A load that counts takes this long at most; one that runs for a time has no other limit.
LONGEST = 30.0
# How long, in seconds, the load goes on before it looks whether the server is warm.
WARMUP = 0.1


def measure(job: Job, hold: Callable[[], None], pump: Callable[..., list[float]]) -> Sample:
    """Warm up, then measure one window of `pump`.

    Args:
        job: `pid` of the server, `warmup` in seconds of its processor time, and `seconds`; `limit`, if given,
            ends the window after so many operations.
        hold: called between warm-up and window, so that others can prepare.
        pump: does operations for some seconds or up to a limit, and returns their latencies. On a machine
            that stands still meanwhile there may be none: the window stays open for the first.
    """
    warm_up(job, pump)
    hold()

    def work() -> Sample:
        end = time.perf_counter() + LONGEST
        latencies = pump(LONGEST, job["limit"]) if job.get("limit") else pump(job["seconds"])
        while not latencies and time.perf_counter() < end:
            latencies = pump(job["seconds"])
        return {"operations": len(latencies), **(percentiles(latencies) if latencies else {})}

    return window(job, work)


def warm_up(job: Job, work: Callable[[float], object]) -> None:
    """Have work done, some of it at a time, until the server is warm."""
    meter, began = Meter(job["pid"]), time.perf_counter()
    warm = meter.read().cpu + job["warmup"]
    while meter.read().cpu < warm and time.perf_counter() - began < LONGEST / 2:
        work(WARMUP)


def window(job: Job, work: Callable[[], Sample]) -> Sample:
    """What server and load used while `work` was done, which tells its operations and how long they took."""
    meter = Meter(job["pid"])
    own, began, before = processor_time(), time.perf_counter(), meter.read()
    answered = work()
    after, ended = meter.read(), time.perf_counter()
    load_cpu = processor_time() - own
    done, seconds = answered["operations"], ended - began
    if not done:
        raise Broken(f"not one {job['operation']} was completed in {seconds:.1f} s")
    used = after.since(before)
    return {
        **answered,
        "seconds": seconds,
        "rate": done / seconds,
        **{key: value / done for key, value in used.items()},
        "busy": used["cpu"] / seconds,
        "load_busy": load_cpu / seconds,
    }


def processor_time() -> float:
    """Seconds that this process, and those of its children that have ended, have used."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def percentiles(latencies: list[float]) -> Sample:
    """p50 and p99, in seconds."""
    if len(latencies) < 2:
        return {"p50": latencies[0], "p99": latencies[0]}
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return {"p50": cuts[49], "p99": cuts[98]}


def echo(job: Job, hold: Callable[[], None]) -> Sample:
    """Echo on many connections at once, perhaps among others that are idle."""
    peer = reach(job)
    with contextlib.ExitStack() as stack:
        open_idle(peer, job["idle"], job["size"], stack)
        socks = [stack.enter_context(peer.connect()) for _ in range(job["connections"])]
        load = stack.enter_context(contextlib.closing(EchoLoad(socks, job["size"])))
        load.start()
        sample = measure(job, hold, load.pump)
        load.finish()
    return sample


def churn(job: Job, hold: Callable[[], None]) -> Sample:
    """Short-lived connections."""
    with contextlib.closing(ChurnLoad(reach(job), job["size"], job["connections"])) as load:
        return measure(job, hold, load.pump)


def memory(job: Job, hold: Callable[[], None]) -> Sample:
    """What a connection that is open and idle costs the server in memory."""
    peer, meter, size = reach(job), Meter(job["pid"]), job["size"]
    with contextlib.ExitStack() as stack:
        # The first ones fill caches and free lists; they are not counted.
        open_idle(peer, job["connections"], size, stack)
        before = meter.resident_bytes()
        began = time.perf_counter()
        open_idle(peer, job["idle"], size, stack)
        seconds = time.perf_counter() - began
        growth = meter.resident_bytes() - before
    return {"operations": job["idle"], "rss": growth / job["idle"], "rate": job["idle"] / seconds}


def crowd(job: Job, hold: Callable[[], None]) -> Sample:
    """Echo on a few connections among many; beside it what each of the many costs."""
    load = Crowd(reach(job), job["size"], job["connections"], job["idle"], job["pid"])
    with contextlib.closing(load):
        return measure(job, hold, load.pump) | load.cost


def backlog(job: Job, hold: Callable[[], None]) -> Sample:
    """Connections that have all arrived when the server looks."""
    return measure(job, hold, Backlog(reach(job), job["size"], job["connections"], job["pid"]).pump)


def talk(job: Job, hold: Callable[[], None]) -> Sample:
    """Requests and answers of some protocol."""
    exchange = EXCHANGES[job["exchange"]]
    with contextlib.closing(TalkLoad(reach(job), exchange, job["connections"])) as load:
        wrk = Wrk.of(job, exchange(0))
        if wrk is None:
            return measure(job, hold, load.pump)
        warm_up(job, load.pump)
    return window(job, lambda: wrk.run(job["seconds"]))


def grpc(job: Job, hold: Callable[[], None]) -> Sample:
    """Calls of gRPC."""
    from loopkit.bench.load.calls import CallLoad

    with contextlib.closing(CallLoad(":".join(map(str, job["address"])), job["connections"])) as load:
        return measure(job, hold, load.pump)


def reach(job: Job) -> Peer:
    """The server a job is for."""
    return Peer(job["transport"], job["address"], job["certificate"])


JOBS: dict[str, Callable[[Job, Callable[[], None]], Sample]] = {
    "echo": echo,
    "churn": churn,
    "memory": memory,
    "crowd": crowd,
    "backlog": backlog,
    "talk": talk,
    "grpc": grpc,
}
