"""The exponential histogram of ADWIN, held as cumulated sums at the boundaries of its buckets.

A window that is cut into buckets of $2^l$ ticks is described by the count, the sum and the sum of
squares from its beginning to each boundary. Two buckets merge by forgetting the boundary between
them, and every split of the window into old and new part can be tested by subtraction. Which
boundaries exist at which tick depends on counts alone, so many ticks can be laid out before any
value is looked at: that is a `Plan`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tests:
    """Splits of the window to be tested: `s` splits at `t` ticks.

    Attributes:
        count: Items in the window after each tick, shape `(t,)`.
        total: Their sum about the origin, shape `(t,)`.
        square: Their sum of squares about the origin, shape `(t,)`.
        tick: The tick at which each split is tested, ascending, shape `(s,)`.
        before: Items before each split, oldest split of a tick first, shape `(s,)`.
        before_total: Their sum about the origin, shape `(s,)`.
    """

    count: Column
    total: Column
    square: Column
    tick: NDArray[np.intp]
    before: Column
    before_total: Column


@dataclass(frozen=True, slots=True)
class Plan(Tests):
    """The tests of some new ticks, and what the window will be after the last of them.

    Attributes:
        origin: The value about which sums are taken.
        ends: Cumulated count, sum and sum of squares at the remaining boundaries, shape `(k, 3)`.
        levels: Buckets of each level, smallest first.
    """

    origin: float
    ends: Column
    levels: list[int]


class Boundaries:
    """A window of ticks in buckets of exponentially growing size.

    Args:
        max_buckets: Buckets of one level before the two oldest of them merge into the next level.

    Example:
        >>> window = Boundaries(max_buckets=2)
        >>> window.commit(window.plan(np.arange(8.0).reshape(4, 2)))
        >>> window.count, window.mean, window.levels
        (8, 3.5, [2, 1])
    """

    def __init__(self, max_buckets: int) -> None:
        self._max_buckets = max_buckets
        self._origin = 0.0
        # Counts stay exact in float64 up to 2**53 items.
        self._ends = np.empty((0, 3))
        self._levels: list[int] = [0]

    @property
    def count(self) -> int:
        """Items in the window."""
        return int(self._ends[-1, 0]) if len(self._ends) else 0

    @property
    def mean(self) -> float:
        """Mean of the window; 0 while it is empty."""
        return self._origin + self._offset() if len(self._ends) else 0.0

    @property
    def variance(self) -> float:
        """Population variance of the window; 0 while it is empty."""
        if not len(self._ends):
            return 0.0
        return max(0.0, float(self._ends[-1, 2] / self._ends[-1, 0]) - self._offset() ** 2)

    @property
    def levels(self) -> list[int]:
        """Buckets of each level, smallest first; level `l` holds buckets of `2**l` ticks."""
        return list(self._levels)

    def plan(self, block: Column) -> Plan:
        """Lay out the tests for new ticks, without taking them yet.

        Args:
            block: The items of the ticks, shape `(ticks, clock)` with at least one tick.
        """
        old, ticks = len(self._ends), len(block)
        origin = self._origin if old else float(block[0, 0])
        centred = block - origin
        added = np.empty((old + ticks, 3))
        added[:old] = self._ends
        added[old:, 0] = block.shape[1]
        added[old:, 1] = centred.sum(axis=1)
        added[old:, 2] = (centred * centred).sum(axis=1)
        # A plain running sum from the last boundary on: the same additions however ticks arrive.
        start = max(old - 1, 0)
        added[start:] = np.cumsum(added[start:], axis=0)

        kept, deaths, levels = self._merge(old, ticks)
        now = np.arange(ticks)[:, np.newaxis]
        alive = (np.arange(old + ticks) < old + now) & (now < deaths)
        # numpy finds the places of a flat array several times faster than those of a table.
        places = np.flatnonzero(alive)
        tick = places // (old + ticks)
        split = places - tick * (old + ticks)
        return Plan(
            count=added[old:, 0],
            total=added[old:, 1],
            square=added[old:, 2],
            tick=tick,
            before=added[split, 0],
            before_total=added[split, 1],
            origin=origin,
            ends=added[kept],
            levels=levels,
        )

    def commit(self, plan: Plan) -> None:
        """Take the ticks of `plan`, which must be the latest one made."""
        self._origin, self._ends, self._levels = plan.origin, plan.ends, plan.levels

    def review(self) -> Tests:
        """Return the tests of all splits of the window as it stands."""
        return Tests(
            count=self._ends[-1:, 0],
            total=self._ends[-1:, 1],
            square=self._ends[-1:, 2],
            tick=np.zeros(len(self._ends) - 1, dtype=np.intp),
            before=self._ends[:-1, 0],
            before_total=self._ends[:-1, 1],
        )

    def drop_oldest(self, buckets: int) -> None:
        """Forget the oldest buckets.

        Args:
            buckets: How many, at least 1 and fewer than there are.
        """
        self._ends = self._ends[buckets:] - self._ends[buckets - 1]
        while buckets:
            dropped = min(buckets, self._levels[-1])
            self._levels[-1] -= dropped
            buckets -= dropped
            if not self._levels[-1]:
                self._levels.pop()

    def recentre(self) -> None:
        """Take sums about the mean of the window from now on."""
        shift = self._offset()
        count, total, square = self._ends.T
        self._ends = np.stack(
            (count, total - shift * count, square - shift * (2.0 * total - shift * count)), axis=1
        )
        self._origin += shift

    def snapshot(self) -> dict[str, Any]:
        """Return the window as numbers and lists."""
        return {
            "origin": self._origin,
            "levels": list(self._levels),
            "ends": self._ends.tolist(),
        }

    @classmethod
    def restore(cls, max_buckets: int, state: Mapping[str, Any]) -> Self:
        """Make the window that `snapshot` described."""
        window = cls(max_buckets)
        window._origin = float(state["origin"])
        window._levels = [int(level) for level in state["levels"]]
        window._ends = np.array(state["ends"], dtype=np.float64).reshape(-1, 3)
        return window

    def _offset(self) -> float:
        return float(self._ends[-1, 1] / self._ends[-1, 0])

    def _merge(self, old: int, ticks: int) -> tuple[list[int], NDArray[np.int64], list[int]]:
        """Simulate the merging of buckets while ticks arrive.

        Returns:
            The boundaries that remain; for each boundary the tick by which it is gone, shape
            `(old + ticks,)`; and the buckets of each level.
        """
        kept = list(range(old))
        deaths = np.full(old + ticks, ticks, dtype=np.int64)
        levels = list(self._levels)
        for tick in range(ticks):
            kept.append(old + tick)
            levels[0] += 1
            level, position = 0, len(kept) - levels[0]
            while levels[level] > self._max_buckets:
                deaths[kept.pop(position)] = tick
                levels[level] -= 2
                level += 1
                if level == len(levels):
                    levels.append(0)
                position -= levels[level]
                levels[level] += 1
        return kept, deaths, levels
