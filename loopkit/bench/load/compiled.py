"""A load written in C: wrk, where it is on the machine. Ours costs half of what the fastest servers do.

wrk speaks HTTP/1.1 and keeps its connections: exchanges that end theirs, and all other protocols, stay with
`talk.py`. A script has it compare every body, and what is no answer at all it counts by itself.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from loopkit.bench.load.connections import Broken
from loopkit.bench.load.exchanges import Http

if TYPE_CHECKING:
    from loopkit.bench.load.exchanges import Exchange

__all__ = ["Wrk"]

#: Seconds that wrk may take beyond its window, to connect and to sum up.
GRACE = 15.0
#: What `done` says before its one line of JSON.
MARK = "result: "

# wrk runs `response` in each of its threads, and `done` once at the end. Times are microseconds.
SCRIPT = """\
wrk.method = "%(method)s"
wrk.body = %(sent)s
wrk.headers["Accept"] = "*/*"
%(headers)s
local expected = [==[%(body)s]==]
local threads = {}
wrong = 0
function setup(thread) table.insert(threads, thread) end
function response(status, headers, body)
  if status ~= 200 or body ~= expected then wrong = wrong + 1 end
end
function done(summary, latency, requests)
  local bad, errors = 0, summary.errors
  for _, thread in ipairs(threads) do bad = bad + thread:get("wrong") end
  io.write(string.format(
    '\\n%(mark)s{"requests": %%d, "wrong": %%d, "broken": %%d, "late": %%d, "p50": %%f, "p99": %%f}\\n',
    summary.requests, bad, errors.connect + errors.read + errors.write, errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


class Wrk:
    """Runs wrk, the file `program`, against one server."""

    def __init__(self, program: str, job: dict[str, Any], exchange: Http) -> None:
        host, port = job["address"]
        scheme = "https" if job["transport"] == "tls" else "http"
        connections = str(job["connections"])
        self._command = [program, "-t", "1", "-c", connections, f"{scheme}://{host}:{port}/"]
        self._script = SCRIPT % {
            "method": "POST" if exchange.sent else "GET",
            "sent": f"[==[{exchange.sent.decode()}]==]" if exchange.sent else "nil",
            "headers": 'wrk.headers["Content-Type"] = "application/json"' if exchange.sent else "",
            "body": exchange.body.decode(),
            "mark": MARK,
        }

    @classmethod
    def of(cls, job: dict[str, Any], exchange: Exchange) -> Wrk | None:
        """One for a job, if wrk is there and can do it: it cannot stop after so many answers."""
        program = shutil.which("wrk")
        if program is None or job.get("limit") or not isinstance(exchange, Http) or exchange.once:
            return None
        return cls(program, job, exchange)

    def run(self, seconds: float) -> dict[str, float]:
        """Requests and answers for so many whole seconds, one at least.

        Returns: `operations`, and `p50` and `p99` in seconds. Raises Broken if not every answer was right.
        """
        window = max(round(seconds), 1)
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(self._script)
            script.flush()
            try:
                done = subprocess.run(
                    [*self._command, "-d", str(window), "-s", script.name],
                    capture_output=True,
                    text=True,
                    timeout=window + GRACE,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise Broken(f"wrk did not end within {window + GRACE:g} s") from None
        return read(done.stdout, done.stderr)


def read(out: str, errors: str) -> dict[str, float]:
    """What wrk has found. Raises Broken unless all of it are right answers."""
    lines = [line for line in out.splitlines() if line.startswith(MARK)]
    if not lines:
        raise Broken(f"wrk said {(errors or out).strip()[-200:]!r}")
    found = json.loads(lines[-1].removeprefix(MARK))
    for what, name in [
        ("wrong", "wrong answers"),
        ("broken", "broken connections"),
        ("late", "answers too late"),
    ]:
        if found[what]:
            raise Broken(f"wrk counted {found[what]} {name} of {found['requests']}")
    return {
        "operations": found["requests"],
        "p50": found["p50"] / 1e6,
        "p99": found["p99"] / 1e6,
    }
