"""Reading another process's own accounting: its CPU time and its memory. Linux only."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Reading:
    """Seconds of CPU since the process started, all its threads together."""

    cpu: float
    user: float
    system: float

    def since(self, earlier: Reading) -> dict[str, float]:
        """What was used between two readings."""
        return {
            "cpu": self.cpu - earlier.cpu,
            "user": self.user - earlier.user,
            "system": self.system - earlier.system,
        }


class Meter:
    """Meters one process.

    The clock id of a process's CPU clock is made of its pid (clock_getcpuclockid(3) does just this). It
    counts nanoseconds, where /proc/PID/stat counts ticks of 10 ms; only the latter splits user from system.
    """

    def __init__(self, pid: int) -> None:
        self._clock = (~pid << 3) | 2
        self._proc = Path("/proc", str(pid))

    def read(self) -> Reading:
        """CPU time used so far. Raises ProcessLookupError or OSError if the process is gone."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        user, system = int(fields[11]) * TICK, int(fields[12]) * TICK
        return Reading(time.clock_gettime(self._clock), user, system)

    def resident_bytes(self) -> int:
        """Memory in use. smaps_rollup counts pages; the cheaper statm is allowed to lag by some per CPU."""
        for line in (self._proc / "smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise OSError(f"{self._proc}/smaps_rollup has no Rss line")
