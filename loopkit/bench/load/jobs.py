"""The jobs the load process can do: a job comes as a dictionary and its sample goes back as one."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from loopkit.bench.load.connections import Broken, connect
from loopkit.bench.load.echo import EchoLoad
from loopkit.bench.load.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable

Job = dict[str, Any]
Sample = dict[str, float]
# A load that counts takes this long at most; one that runs for a time has no other limit.
LONGEST = 30.0


def measure(job: Job, hold: Callable[[], None], pump: Callable[..., list[float]]) -> Sample:
    """Warm up, then measure one window of `pump`.

    Args:
        job: `pid` of the server, `warmup` and `seconds`; `limit`, if given, ends the window after so many
            operations.
        hold: called between warm-up and window, so that others can prepare.
        pump: does operations for some seconds or up to a limit, and returns their latencies.
    """
    pump(job["warmup"])
    hold()
    meter = Meter(job["pid"])
    own, began, before = time.process_time(), time.perf_counter(), meter.read()
    latencies = pump(LONGEST, job["limit"]) if job.get("limit") else pump(job["seconds"])
    after, ended = meter.read(), time.perf_counter()
    load_cpu = time.process_time() - own
    if not latencies:
        raise Broken(f"not one {job['operation']} was completed in {ended - began:.1f} s")
    done, seconds = len(latencies), ended - began
    used = after.since(before)
    return {
        "operations": done,
        "seconds": seconds,
        "rate": done / seconds,
        **{key: value / done for key, value in used.items()},
        "busy": used["cpu"] / seconds,
        "load_busy": load_cpu / seconds,
        **percentiles(latencies),
    }


def percentiles(latencies: list[float]) -> Sample:
    """p50 and p99, in seconds."""
    if len(latencies) < 2:
        return {"p50": latencies[0], "p99": latencies[0]}
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return {"p50": cuts[49], "p99": cuts[98]}


def echo(job: Job, hold: Callable[[], None]) -> Sample:
    """Echo on many connections at once."""
    socks = [connect(job["transport"], job["address"]) for _ in range(job["connections"])]
    for sock in socks:
        sock.setblocking(False)
    load = EchoLoad(socks, job["size"])
    try:
        load.start()
        sample = measure(job, hold, load.pump)
        load.finish()
    finally:
        load.close()
    return sample


JOBS: dict[str, Callable[[Job, Callable[[], None]], Sample]] = {"echo": echo}
