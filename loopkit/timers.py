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
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from heapq import heapify, heappop
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

# Below this many entries a rebuild is not worth its call.
FEW = 64

# Sorting the heap pays when this share of it has been popped already and more is due: constant work a timer.
CROWD = 1 / 16


class TimerHeap:
    __slots__ = ("cancelled", "due", "heap", "horizon", "seq")

    def __init__(self) -> None:
        #: (when, seq, handle); the loop pushes, and reads the top, itself.
        self.heap: list[tuple[float, int, asyncio.TimerHandle]] = []
        #: Handles taken from the heap because they are due, oldest first; some may be cancelled. A turn that
        #: Ctrl-C tears out of its work leaves the rest here for the next one.
        self.due: deque[asyncio.TimerHandle] = deque()
        #: The number of the youngest entry.
        self.seq = 0
        #: What was due before this is not in the heap, but for what has been pushed since.
        self.horizon = float("-inf")
        #: How many entries from the horizon on are marked as cancelled.
        self.cancelled = 0

    def note_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """*handle* was cancelled: it may be in the heap."""
        if handle._when >= self.horizon:  # type: ignore[attr-defined]
            self.cancelled += 1
        if self.cancelled > FEW and self.cancelled * 2 > len(self.heap):
            kept = [entry for entry in self.heap if entry[2]._callback is not None]  # type: ignore[attr-defined]
            heapify(kept)
            self.heap[:] = kept  # in place: the turn holds on to this list
            self.cancelled = 0

    def next(self) -> float | None:
        """When the next timer that was not cancelled is due, on the loop's clock; None if there is none."""
        heap = self.heap
        while heap:
            when, _, handle = heap[0]
            if handle._callback is not None:  # type: ignore[attr-defined]
                return when
            heappop(heap)
            if when >= self.horizon:
                self.cancelled -= 1
        return None

    def collect(self, end: float) -> None:
        """Move the timers that are due before *end*, which never goes back, from the heap to `due`."""
        heap = self.heap
        taken: list[tuple[float, int, asyncio.TimerHandle]] = []
        while heap and heap[0][0] < end:
            if len(taken) < FEW or len(taken) < CROWD * len(heap):
                taken.append(heappop(heap))
            else:
                heap.sort()
                count = bisect_left(heap, (end,))
                taken += heap[:count]
                del heap[:count]
        if self.cancelled:
            for when, _, handle in taken:
                if handle._callback is None and when >= self.horizon:  # type: ignore[attr-defined]
                    self.cancelled -= 1
        self.horizon = end
        self.due += [handle for _, _, handle in taken]

    def clear(self) -> None:
        self.heap.clear()
        self.due.clear()
        self.cancelled = 0
