"""The timer heap: which call is due next. Knows two attributes of handles, and nothing of the loop.

Facts. A heap of tuples is compared in C; asyncio's heap of handles calls a Python `__lt__` for each of the
log2(n) comparisons of a push. The middle member of `(when, seq, handle)` counts up, so that equal times fire
in the order they were asked for (asyncio leaves that open, and its heap does not keep it) and handles are
never compared.

Cancelling only marks: taking an entry out of the middle of a heap is linear. Almost every timer of a network
program is a timeout that gets cancelled, so marked entries must not pile up: when they are the majority the
heap is rebuilt from the rest. A rebuild of n entries comes after at least n/2 cancellations, hence constant
work per cancellation. Only entries later than the `horizon` are counted, the moment up to which everything
has been taken out: one from before it was taken already, or leaves with the next poll.

Popping costs 2 * log2(n) comparisons. When a crowd is due at once (10,000 tasks that sleep equally long) it
is cheaper to sort: a sorted list is a heap, and what is due is its front.

On PyPy heapq is Python, and compiled; to compare two triples is not: it takes 0.85 us a pop, where asyncio's
handles take 0.3. There an entry has a `__lt__`, which the compiler does see, and what is due is popped by a
plain loop: from `map` and `sort` each comparison would leave compiled code. `heapify` was two thirds of what
it took to set and cancel a timer; nearly always it would find the entries in order already, for timeouts that
are equally long end in the order in which they were set, and to see that takes next to nothing.

Ctrl-C may come between any two steps of the interpreter, also between taking a timer from the heap and
putting it where it is run from: it would be lost. So what is due goes from the one to the other inside one
call, of functions written in C, which no signal handler interrupts: one timer by itself, which is the usual
case, and what is due besides in a second call. Where that ends is marked by an entry that is cancelled from
the beginning (`NOBODY`); should one be left over, it is passed over as cancelled ones are. PyPy promises none
of this: a signal handler may come inside of its heappop.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import deque
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: An `asyncio.TimerHandle`; what typeshed says of it leaves out its slots.
Timer = Any

#: epoll_wait takes milliseconds in an int; a loop that wakes once a day for nothing harms nobody.
LONGEST_POLL = 24 * 3600.0

# Below this many entries a rebuild is not worth its call.
FEW = 64

# Sorting the heap pays when this share of it has been popped already and more is due: constant work a timer.
CROWD = 1 / 16


HANDLE = itemgetter(2)

PYPY = sys.implementation.name == "pypy"


class Entry(tuple[float, int, Timer]):
    """An entry of the heap, on PyPy: there triples are compared without the compiler."""

    __slots__ = ()

    def __lt__(self, other: tuple[Any, ...]) -> bool:
        when, others = self[0], other[0]
        return bool(when < others or (when == others and self[1] < other[1]))


def push_entry(heap: list[tuple[float, int, Timer]], entry: tuple[float, int, Timer], /) -> None:
    """`heappush`, on PyPy."""
    heappush(heap, Entry(entry))


push = push_entry if PYPY else heappush


def are_in_order(entries: list[tuple[float, int, Timer]]) -> bool:
    """Whether each of *entries* is later than the one before; on PyPy."""
    last = float("-inf")
    for entry in entries:
        when = entry[0]
        if when <= last:
            return False
        last = when
    return True


class Nobody:
    """Stands for a cancelled timer."""

    _callback = _args = None
    _when = float("nan")  # neither before the horizon nor after it

    def cancelled(self) -> bool:
        return True


NOBODY: Any = Nobody()


class TimerHeap:
    __slots__ = ("cancelled", "due", "heap", "horizon", "seq")

    def __init__(self) -> None:
        #: (when, seq, handle); the loop pushes, and reads the top, itself.
        self.heap: list[tuple[float, int, Timer]] = []
        #: Handles taken from the heap because they are due, oldest first; some may be cancelled.
        self.due: deque[Timer] = deque()
        #: The number of the youngest entry.
        self.seq = 0
        #: What was due before this is not in the heap, but for what has been pushed since.
        self.horizon = float("-inf")
        #: How many entries from the horizon on are marked as cancelled.
        self.cancelled = 0

    def note_cancelled(self, handle: Timer) -> None:
        """*handle* was cancelled: it may be in the heap."""
        if handle._when >= self.horizon:
            self.cancelled += 1
        if self.cancelled > FEW and self.cancelled * 2 > len(self.heap):
            seq = self.seq
            kept = [entry for entry in self.heap if entry[2]._args is not None]
            if not (PYPY and are_in_order(kept)):
                heapify(kept)
            if seq == self.seq:  # else: a signal handler has set a timer meanwhile
                self.heap[:] = kept  # in place: the turn holds on to this list
                self.cancelled = 0

    def patience(self, now: float) -> float | None:
        """How many seconds from *now* the loop may sleep; None: as long as it likes."""
        heap = self.heap
        while heap:
            when, _, handle = heap[0]
            if handle._args is not None:
                seconds = when - now  # without min and max: this is asked before nearly every poll
                return 0 if seconds < 0 else seconds if seconds < LONGEST_POLL else LONGEST_POLL
            heappop(heap)
            if handle._when >= self.horizon:
                self.cancelled -= 1
        return None

    def collect(self, end: float) -> None:
        """Move the timers that are due before *end*, which never goes back, from the heap to `due`."""
        heap, due = self.heap, self.due
        while PYPY and heap and heap[0][0] < end:
            due.append(heappop(heap)[2])
        if heap and heap[0][0] < end:
            due.extend(map(HANDLE, map(heappop, (heap,))))  # nearly always that is all
        if heap and heap[0][0] < end:
            last = end, 0, NOBODY  # before all entries of that time: their numbers begin at 1
            heappush(heap, last)
            # Popped in C until the mark comes up.
            some = islice(iter(partial(heappop, heap), last), max(FEW, int(CROWD * len(heap))))
            due.extend(map(HANDLE, some))
            if heap and heap[0] <= last:
                heap.sort()
                due.extend(front_of(heap, bisect_left(heap, last) + 1))
        if self.cancelled:
            for handle in due:
                if handle._args is None and handle._when >= self.horizon:
                    self.cancelled -= 1
        self.horizon = end

    def clear(self) -> None:
        self.heap.clear()
        self.due.clear()
        self.cancelled = 0


def front_of(heap: list[tuple[float, int, Timer]], count: int) -> Iterator[Timer]:
    """The handles of the first *count* entries, which are gone from the list when all have been taken."""
    deletion = map(heap.__delitem__, (slice(count),))  # gives None, which is no handle
    return chain(map(HANDLE, heap[:count]), filter(None, deletion))
