"""Ticks: how two topics are read in one order that does not depend on arrival.

Every source partition has a clock, the running maximum of its event times. Time is cut into ticks,
and a record belongs to the tick that the clock shows once the record is counted in. Ticks are taken
when the clocks of all sources have passed them: all of source 0's records of a tick in offset
order, then source 1's. What comes out is a function of what the topics hold, whatever the size of
the chunks, the interleaving of the sources or the moment of a restart.

A source that has fallen silent must not hold the others back for ever, so one that got nothing
usable for ``idle_ms`` of wall clock is left out of the minimum; when all are silent, time goes on
at the pace of the wall clock. Records that arrive for a tick that was taken meanwhile join the
first open one.
"""

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

NEVER = -(2**62)
"""Clock of a source that has not seen an event yet."""


@dataclass(slots=True)
class Slice(Generic[T]):
    """Consecutive records of one source that belong to one tick.

    Attributes:
        tick: the tick.
        start: offset of the first record.
        stop: offset behind the last record.
        clock: the source's clock after the last record.
        rows: rows in the payload, unusable ones included.
        payload: what the records hold.
    """

    tick: int
    start: int
    stop: int
    clock: int
    rows: int
    payload: T


class TickSource(Generic[T]):
    """One source partition's records that wait for their ticks to be complete."""

    def __init__(self) -> None:
        self.clock = NEVER
        """Running maximum of event time over everything that was fed."""
        self.taken_clock = NEVER
        """The same over everything that was taken."""
        self.next_offset: int | None = None
        """Offset behind the last record that was fed."""
        self.arrival: int | None = None
        """Wall clock when the last usable record was fed, ms."""
        self.behind = False
        """It holds records that were not fed yet, so it is not silent."""
        self.ended = False
        """Nothing will ever follow (replay)."""
        self.pending: deque[Slice[T]] = deque()
        self.pending_rows = 0

    def position(self) -> int | None:
        """Offset of the first record that was not taken; None when none was ever fed."""
        return self.pending[0].start if self.pending else self.next_offset

    def feed(
        self, slices: Sequence[Slice[T]], next_offset: int, now_ms: int, *, heard: bool = True
    ) -> None:
        """Append slices; ticks must not fall behind those already waiting.

        Args:
            slices: the records.
            next_offset: offset behind the last record.
            now_ms: wall clock.
            heard: whether any record can move the clock. A source that brings nothing but rubbish
                is as good as silent, and must not hold back the others.
        """
        self.pending.extend(slices)
        self.pending_rows += sum(part.rows for part in slices)
        if slices:
            self.clock = max(self.clock, slices[-1].clock)
        self.next_offset = next_offset
        if heard:
            self.arrival = now_ms

    def take(self, tick: int) -> list[Slice[T]]:
        """Hand over the slices up to a tick."""
        taken = []
        while self.pending and self.pending[0].tick <= tick:
            part = self.pending.popleft()
            self.taken_clock = max(self.taken_clock, part.clock)
            self.pending_rows -= part.rows
            taken.append(part)
        return taken


class TickMerge:
    """Decides which ticks of several sources are complete.

    Args:
        sources: the sources, in the order in which their records of one tick are taken.
        tick_ms: length of a tick.
        idle_ms: wall clock after which a silent source is left out.
    """

    def __init__(self, sources: Sequence[TickSource[T]], tick_ms: int, idle_ms: int) -> None:
        self._sources = sources
        self._tick_ms = tick_ms
        self._idle_ms = idle_ms
        self._started: int | None = None
        self.frontier = NEVER
        """Every tick below this one has been taken; NEVER while no event time is known."""

    def complete(self, now_ms: int) -> int:
        """First tick that is not complete yet.

        Records that came before any event time is known belong to the tick of NEVER, which is
        always complete and never over.
        """
        if self._started is None:
            self._started = now_ms
        clocks = []
        last_arrival = self._started
        for source in self._sources:
            if source.ended:
                continue
            arrival = self._started if source.arrival is None else source.arrival
            last_arrival = max(last_arrival, arrival)
            if source.behind or now_ms - arrival < self._idle_ms:
                clocks.append(source.clock)
        if clocks:
            clock = min(clocks)
        else:
            clock = max(source.clock for source in self._sources)
            if clock != NEVER:
                clock += now_ms - last_arrival
        if clock == NEVER:
            return max(self.frontier, NEVER // self._tick_ms + 1)
        return max(self.frontier, clock // self._tick_ms)

    def idle(self, now_ms: int) -> bool:
        """Whether all sources are silent."""
        started = now_ms if self._started is None else self._started
        arrivals = [started if s.arrival is None else s.arrival for s in self._sources]
        return not any(s.behind for s in self._sources) and (
            now_ms - max(arrivals) >= self._idle_ms
        )

    def ready(self, until: int) -> Iterator[int]:
        """Ticks below ``until`` that hold records, ascending; moves the frontier past each.

        The records of a tick must be taken before the next is asked for.
        """
        never = NEVER // self._tick_ms
        while True:
            waiting = [s.pending[0].tick for s in self._sources if s.pending]
            tick = max(min(waiting), self.frontier) if waiting else until
            if tick >= until:
                break
            yield tick
            if tick > never:
                self.frontier = tick + 1
        if until > never + 1:
            self.frontier = max(self.frontier, until)

    def ahead(self, source: TickSource[T]) -> bool:
        """Whether other sources hold this one back by more than a tick."""
        others = [other.clock for other in self._sources if other is not source]
        return bool(others) and source.clock > min(others) + self._tick_ms


def cut(ticks: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of equal values as (start, stop) index pairs.

    >>> cut(np.array([3, 3, 4, 6, 6]))
    [(0, 2), (2, 3), (3, 5)]
    """
    if not len(ticks):
        return []
    bounds = [0, *(np.flatnonzero(np.diff(ticks)) + 1).tolist(), len(ticks)]
    return list(itertools.pairwise(bounds))
