"""Bugs are found, small, with the right label and a token that replays; what is correct passes.

How many seeds: few here; `LOOPKIT_SEEDS=2000 pytest tests/simulation/test_corpus.py` is the whole of it.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopkit.testing import Found, explore, replay
from loopkit.testing.choices import Choices, drawn
from loopkit.testing.exploring import attempt
from loopkit.testing.running import Program
from loopkit.testing.trace import Trace
from tests.simulation.bugs import BUGS
from tests.simulation.correct import ORDERED, PROGRAMS

SEEDS = int(os.environ.get("LOOPKIT_SEEDS", "60"))

pytestmark = [
    pytest.mark.timeout(max(120, SEEDS)),
    # Before 3.12 asyncio's streams ask a cancelled handler for its exception, and report what they get.
    *(
        [pytest.mark.leaks("errors", reason="streams report cancelled handlers")]
        if sys.version_info < (3, 12)
        else []
    ),
]

#: The lowest level at which each can happen; by what it is, and not by what was found.
LEVELS = {
    "lost_update": "sleep",
    "check_then_act": "time",
    "double_initialisation": "time",
    "lock_order": "time",
    "resource_lost_by_timeout": "time",
    "semaphore_leaked_by_cancel": "time",
    "join_miscounts": "time",
    "shield_misuse": "time",
    "events_out_of_order": "sleep",
    "slow_reader": "time",
    "half_open_peer": "time",
    "lost_wake_up": "order",
}


def find(name, seeds=200):
    with pytest.raises(Found) as caught:
        explore(BUGS[name](False), seeds=seeds, level="order")
    return caught.value.report


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_found_made_small_and_replayed(name):
    report = find(name)
    assert report.runs <= 200
    assert len(report.deviations) <= 3
    for _ in range(5):
        with pytest.raises(type(report.error)):
            replay(BUGS[name](False), report.token)


@pytest.mark.parametrize(("name", "level"), LEVELS.items())
def test_the_label_says_what_a_bug_needs(name, level):
    assert find(name).level == level


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_hides_from_a_test_that_runs_once(name):
    assert attempt(Program(BUGS[name](False)), Choices({})).error is None


@pytest.mark.parametrize("name", BUGS)
def test_a_repaired_program_passes(name):
    explore(BUGS[name](True), seeds=SEEDS, level="order")


@pytest.mark.parametrize("level", ["time", "sleep"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_correct_program_passes_at_the_levels_that_claim_to_be_sound(name, level):
    explore(PROGRAMS[name], seeds=SEEDS, level=level)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_fails_at_level_order_alone_is_labelled_so(name):
    try:
        explore(PROGRAMS[name], seeds=SEEDS, level="order")
    except Found as failure:
        found = failure
    else:
        return
    assert name in ORDERED
    assert found.report.level == "order"
    assert "does not produce today" in str(found)


def test_exhaustive_search_finds_what_one_deviation_does():
    with pytest.raises(Found) as caught:
        explore(BUGS["check_then_act"](False), strategy="exhaustive", deviations=1, seeds=1000)
    assert len(caught.value.report.deviations) == 1
    explore(BUGS["check_then_act"](True), strategy="exhaustive", deviations=1, seeds=1000, level="order")


# -- the same to the bit -------------------------------------------------------------------------------------

HASHES = """
import sys
sys.path.insert(0, {root!r})
import gc
from tests.simulation.test_corpus import hashes
gc.collect()
print(hashes({seeds}))
"""


def hashes(seeds):
    """One number for what happens in so many runs of several programs."""
    import hashlib

    total = hashlib.sha256()
    programs = [BUGS["half_open_peer"](True), BUGS["join_miscounts"](False)]
    programs += [PROGRAMS["a_task_group_waits_for_all_and_cancels_the_others"]]
    for main in programs:
        for seed in range(seeds):
            trace = Trace()
            attempt(Program(main), drawn(seed, "order", "mix"), seed, trace)
            total.update(trace.digest().encode())
    return total.hexdigest()


def test_a_seed_means_the_same_in_every_process():
    code = HASHES.format(
        root=str(Path(__file__).parents[2]), seeds=int(os.environ.get("LOOPKIT_HASHES", "12"))
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(found) == 1
    assert len(found.pop()) > 60


if __name__ == "__main__":
    begin = time.process_time()
    for each in BUGS:
        print(f"{each:28} {find(each).token}")
    print(f"{time.process_time() - begin:.2f} s of CPU for {len(BUGS)} bugs")
