"""The timer heap, without a loop and without a clock."""

import asyncio
import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

import loopkit
from loopkit import timers
from loopkit.timers import FEW, TimerHeap
from tests.support.pythons import cpython_only


class Heap(TimerHeap):
    """The heap, pushed to as `Loop.call_at` does it."""

    def add(self, when, handle):
        handle._when = when
        self.seq += 1
        timers.push(self.heap, (when, self.seq, handle))


class Handle:
    """The two attributes that the heap reads. Cancelling tells the heap, as the loop does."""

    def __init__(self, heap, name):
        self.heap, self.name = heap, name
        self._args = ()
        self._when = None

    def cancel(self):
        if self._args is not None:
            self._args = None
            self.heap.note_cancelled(self)


def collected(heap, end):
    """What is due before *end*, oldest first, without what is cancelled; the heap hands it over."""
    heap.collect(end)
    due = [handle for handle in heap.due if handle._args is not None]
    heap.due.clear()
    return due


def handles_of(heap):
    return [entry[2] for entry in heap.heap]


class Model(RuleBasedStateMachine):
    """The heap beside a plain list of (when, age, handle)."""

    handles = Bundle("handles")

    def __init__(self):
        super().__init__()
        self.heap = Heap()
        self.model = []
        self.age = 0

    @rule(target=handles, when=st.integers(0, 20))
    def add(self, when):
        self.age += 1
        handle = Handle(self.heap, self.age)
        self.heap.add(when, handle)
        self.model.append((when, self.age, handle))
        return handle

    @rule(handle=consumes(handles))
    def cancel(self, handle):
        handle.cancel()
        self.model = [entry for entry in self.model if entry[2] is not handle]
        assert self.heap.cancelled <= max(FEW, len(self.heap.heap) / 2)

    @rule(count=st.integers(FEW, 2 * FEW), when=st.integers(0, 20))
    def a_crowd_that_is_cancelled(self, count, when):
        crowd = [self.add(when) for _ in range(count)]
        for handle in crowd:
            self.cancel(handle)

    @rule(count=st.integers(FEW, 4 * FEW), when=st.integers(0, 20))
    def a_crowd_that_stays(self, count, when):
        for _ in range(count):
            self.add(when)

    @rule(end=st.integers(0, 21))
    def the_heap_is_a_queue_ordered_by_time_and_age(self, end):
        end = max(end, self.heap.horizon)  # a clock does not go back
        due = sorted(entry for entry in self.model if entry[0] < end)
        self.model = [entry for entry in self.model if entry[0] >= end]
        popped = collected(self.heap, end)
        assert [handle.name for handle in popped] == [age for _, age, _ in due]

    @rule(now=st.integers(0, 30))
    def the_loop_sleeps_until_the_earliest(self, now):
        earliest = min((entry[0] for entry in self.model), default=None)
        assert self.heap.patience(now) == (None if earliest is None else max(earliest - now, 0))

    @invariant()
    def nothing_is_lost(self):
        alive = [handle for handle in handles_of(self.heap) if handle._args is not None]
        assert sorted(handle.name for handle in alive) == sorted(age for _, age, _ in self.model)

    @invariant()
    def what_is_cancelled_and_not_due_is_counted(self):
        dead = [handle for handle in handles_of(self.heap) if handle._args is None]
        assert sum(handle._when >= self.heap.horizon for handle in dead) == self.heap.cancelled


Model.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@pytest.mark.timeout(120)  # it is hypothesis that takes its time, on PyPy above all
class TestModel(Model.TestCase):
    def test_the_heap_is_a_queue_ordered_by_time_and_age(self):
        self.runTest()

    runTest = Model.TestCase.runTest


def test_equal_times_come_in_the_order_of_their_adding():
    heap = Heap()
    for name in range(100):
        heap.add(1.0, Handle(heap, name))
    assert [handle.name for handle in collected(heap, 2.0)] == list(range(100))
    assert heap.heap == []


def test_a_crowd_that_is_due_at_once_keeps_its_order_and_leaves_a_heap():
    heap = Heap()
    crowd = 8 * FEW
    for name in range(crowd, 0, -1):
        heap.add(float(name), Handle(heap, name))
    for later in (30.5, 10.5, 20.5):
        heap.add(crowd + later, Handle(heap, later))
    assert [handle.name for handle in collected(heap, crowd + 1.0)] == list(range(1, crowd + 1))
    assert [handle.name for handle in collected(heap, crowd + 99.0)] == [10.5, 20.5, 30.5]


def test_a_timer_due_exactly_now_is_not_before_now():
    heap = Heap()
    heap.add(1.0, Handle(heap, 1))
    assert collected(heap, 1.0) == []
    assert heap.patience(0.25) == 0.75
    assert heap.patience(1.0) == 0


def test_handles_are_never_compared():
    heap = Heap()
    for _ in range(50):
        heap.add(1.0, Handle(heap, object()))  # has no order: a comparison would raise TypeError
    assert len(collected(heap, 2.0)) == 50
    assert heap.heap == []


def test_a_cancelled_timer_is_dropped_by_whoever_meets_it():
    heap = Heap()
    cancelled, kept = Handle(heap, "cancelled"), Handle(heap, "kept")
    heap.add(1.0, cancelled)
    heap.add(2.0, kept)
    cancelled.cancel()
    assert len(heap.heap) == 2
    assert heap.patience(0.5) == 1.5
    assert handles_of(heap) == [kept]
    assert heap.cancelled == 0


def test_a_timer_cancelled_after_it_was_due_does_not_count():
    heap = Heap()
    taken, late = Handle(heap, "taken"), Handle(heap, "late")
    heap.add(1.0, taken)
    assert collected(heap, 5.0) == [taken]
    heap.add(2.0, late)  # pushed when its time was over
    taken.cancel()
    late.cancel()
    assert heap.cancelled == 0
    assert collected(heap, 6.0) == []
    assert (heap.heap, heap.cancelled) == ([], 0)


def test_a_cancellation_that_does_not_count_clears_the_majority_too():
    """What is due leaves, and those that are cancelled and not due are the majority of what stays."""
    heap = Heap()
    heap.collect(1.0)
    for when in (0.0, 1.0):
        crowd = [Handle(heap, number) for number in range(FEW + 1)]
        for handle in crowd:
            heap.add(when, handle)
        for handle in crowd:
            handle.cancel()
    heap.collect(1.0)
    assert (len(heap.heap), heap.cancelled) == (FEW + 1, FEW + 1)
    late = Handle(heap, "late")
    heap.add(0.0, late)
    late.cancel()
    assert (heap.heap, heap.cancelled) == ([], 0)


@cpython_only("PyPy pops in compiled code, which its sort is not")
def test_a_crowd_that_is_due_at_once_is_sorted_and_not_popped_one_by_one(monkeypatch):
    """10,000 sleepers that wake together: few pops, then one sort."""
    pops = []

    def counting(heap):
        pops.append(1)
        return heapq.heappop(heap)

    monkeypatch.setattr(timers, "heappop", counting)
    heap = Heap()
    for name in range(10_000):
        heap.add(float((name * 7919) % 10_000), Handle(heap, name))
    due = collected(heap, 8000.0)
    assert len(due) == 8000
    assert len(pops) <= 10_000 / 16 + FEW
    assert heap.heap[0][0] == 8000.0
    assert len(collected(heap, 10_000.0)) == 2000
    assert heap.heap == []


def test_timeouts_that_never_fire_do_not_pile_up():
    """The life of a server: a timeout set and cancelled for every request, one real timer far away."""
    heap = Heap()
    heap.add(1000.0, Handle(heap, "far away"))
    longest = 0
    for request in range(10_000):
        handle = Handle(heap, request)
        heap.add(60.0 + request / 1000, handle)
        handle.cancel()
        longest = max(longest, len(heap.heap))
    assert longest <= 2 * FEW + 2


def test_cancelling_costs_the_same_however_many_there_are(monkeypatch):
    """Rebuilding looks at every entry; n cancellations may look at a multiple of n entries, and no more."""
    looked_at = 0

    def counting(entries):
        nonlocal looked_at
        looked_at += len(entries)
        heapq.heapify(entries)

    monkeypatch.setattr(timers, "heapify", counting)

    def cost(count):
        nonlocal looked_at
        looked_at = 0
        heap = Heap()
        handles = [Handle(heap, number) for number in range(count)]
        for handle in handles:
            heap.add(float(handle.name % 7), handle)
        for handle in handles:
            handle.cancel()
        assert len(heap.heap) <= FEW
        return looked_at

    for count in (1000, 4000, 16_000):
        assert cost(count) <= 2 * count


@pytest.mark.parametrize("step", [1, -1, 7, 0])
def test_a_rebuild_leaves_a_heap_in_whatever_order_the_timers_were_set(step):
    heap, count = Heap(), 8 * FEW
    handles = [Handle(heap, number) for number in range(count)]
    for handle in handles:
        heap.add(float(handle.name * step % count), handle)
    for handle in handles[count // 4 : -1]:
        handle.cancel()
    assert len(heap.heap) < count // 2 + FEW
    stayed = [*handles[: count // 4], handles[-1]]
    assert collected(heap, float(count)) == sorted(stayed, key=lambda handle: (handle._when, handle.name))


def test_a_rebuild_keeps_the_list_object():
    """The turn holds on to it."""
    heap = Heap()
    entries = heap.heap
    handles = [Handle(heap, number) for number in range(4 * FEW)]
    for handle in handles:
        heap.add(float(handle.name), handle)
    for handle in handles[: 3 * FEW]:
        handle.cancel()
    assert heap.heap is entries
    assert len(entries) < 4 * FEW
    heap.clear()
    assert heap.heap is entries


@given(st.lists(st.integers(0, 100), max_size=60))
def test_a_real_loop_fires_in_the_order_of_the_model(deadlines):
    """The same through the loop's own, written-out form of the heap."""
    loop = loopkit.EpollLoop()
    try:
        now, fired = loop.time(), []
        for number, deadline in enumerate(deadlines):
            loop.call_at(now - 200 + deadline, fired.append, number)
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert fired == sorted(range(len(deadlines)), key=lambda number: (deadlines[number], number))
    finally:
        loop.close()


def test_the_loop_counts_cancellations_of_scheduled_timers_only():
    loop = loopkit.EpollLoop()
    try:
        fired = loop.call_later(0, int)
        loop.run_until_complete(asyncio.sleep(0.001))
        fired.cancel()
        assert loop._timers.cancelled == 0
        waiting = loop.call_later(1000, int)
        waiting.cancel()
        waiting.cancel()
        assert loop._timers.cancelled == 1
    finally:
        loop.close()
