"""The exponential histogram of ADWIN, held as cumulated sums at the boundaries of its buckets.

A window that is cut into buckets of $2^l$ ticks is described by the count, the sum and the sum of
squares from its beginning to each boundary. Two buckets merge by forgetting the boundary between
them, and every split of the window into old and new part can be tested by subtraction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel

Column = NDArray[np.float64]
Levels = NDArray[np.int64]

_MOST_LEVELS = 62
"""A bucket of the last level would hold more ticks than can be counted."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a split shows a change of the mean; see :class:`detectors.adwin.ADWIN`.

    Attributes:
        delta: significance.
        grace_period: items in the window before the first test.
        least: smallest part of the window that is tested.
        dispersion: variance of a mean relative to that of independent items.
    """

    delta: float
    grace_period: int
    least: int
    dispersion: float


@kernel
def _clearest(
    ends: Column, used: int, delta: float, grace_period: int, least: int, dispersion: float
) -> int:
    """Find the split where the gap is largest relative to its bound; -1 when none is significant.

    ``ends`` holds count, sum and sum of squares of each of ``used`` boundaries, side by side.
    """
    last = 3 * (used - 1)
    count, total = ends[last], ends[last + 1]
    if count <= grace_period:
        return -1
    mean = total / count
    variance = max(ends[last + 2] / count - mean * mean, 0.0)
    log_term = np.log(2.0 * np.log(max(count, 2.0)) / delta)
    spread, slack = 2.0 * variance * log_term, log_term / 1.5
    spare = least - 1.0
    found, best = -1, 0.0
    for split in range(used - 1):
        before = ends[3 * split]
        after = count - before
        if before < least or after < least:
            continue
        gap = abs((total - ends[3 * split + 1]) / after - ends[3 * split + 1] / before)
        room = 1.0 / max(after - spare, 1.0) + 1.0 / max(before - spare, 1.0)
        room *= dispersion
        # A gap within the first part of the bound is within the bound.
        if gap * gap <= room * spread:
            continue
        epsilon = np.sqrt(room * spread) + room * slack
        if gap > epsilon and gap / epsilon > best:
            found, best = split, gap / epsilon
    return found


@kernel
def _grow(
    items: Column,
    clock: int,
    origin: float,
    ends: Column,
    used: int,
    levels: Levels,
    max_buckets: int,
    delta: float,
    grace_period: int,
    least: int,
    dispersion: float,
) -> tuple[int, int, bool]:
    """Take ticks of ``clock`` items until one shows a change or there are no more.

    ``ends`` has room for another boundary per tick.

    Returns the ticks taken, the boundaries in use, and whether the last tick shows a change.
    """
    ticks = len(items) // clock
    for tick in range(ticks):
        total = square = 0.0
        for i in range(tick * clock, (tick + 1) * clock):
            centred = items[i] - origin
            total += centred
            square += centred * centred
        at = 3 * used
        ends[at], ends[at + 1], ends[at + 2] = clock, total, square
        if used:
            for i in range(3):
                ends[at + i] += ends[at - 3 + i]
        used += 1
        levels[0] += 1
        level, position = 0, used - levels[0]
        while levels[level] > max_buckets:
            # The boundary between the two oldest buckets of the level goes.
            used -= 1
            for i in range(3 * position, 3 * used):
                ends[i] = ends[i + 3]
            levels[level] -= 2
            level += 1
            position -= levels[level]
            levels[level] += 1
        if _clearest(ends, used, delta, grace_period, least, dispersion) >= 0:
            return tick + 1, used, True
    return ticks, used, False


class Boundaries:
    """A window of ticks in buckets of exponentially growing size.

    Args:
        max_buckets: Buckets of one level before the two oldest of them merge into the next level.

    Example:
        >>> window = Boundaries(max_buckets=2)
        >>> window.grow(np.arange(8.0), 2, Rule(0.002, 10, 5, 1.0))
        (4, False)
        >>> window.count, window.mean, window.levels
        (8, 3.5, [2, 1])
    """

    def __init__(self, max_buckets: int) -> None:
        self._max_buckets = max_buckets
        self._origin = 0.0
        # Counts stay exact in float64 up to 2**53 items.
        self._ends = np.empty(0)
        self._levels: Levels = np.zeros(_MOST_LEVELS + 1, dtype=np.int64)

    def __len__(self) -> int:
        """Count the buckets."""
        return len(self._ends) // 3

    @property
    def count(self) -> int:
        """Items in the window."""
        return int(self._ends[-3]) if len(self._ends) else 0

    @property
    def mean(self) -> float:
        """Mean of the window; 0 while it is empty."""
        return self._origin + self._offset() if len(self._ends) else 0.0

    @property
    def variance(self) -> float:
        """Population variance of the window; 0 while it is empty."""
        if not len(self._ends):
            return 0.0
        return max(0.0, float(self._ends[-1] / self._ends[-3]) - self._offset() ** 2)

    @property
    def levels(self) -> list[int]:
        """Buckets of each level, smallest first; level `l` holds buckets of `2**l` ticks."""
        used = int(np.flatnonzero(self._levels)[-1]) + 1 if self._levels.any() else 1
        found: list[int] = self._levels[:used].tolist()
        return found

    def grow(self, items: Column, clock: int, rule: Rule) -> tuple[int, bool]:
        """Take ticks up to and including the first that shows a change of the mean.

        Args:
            items: Items, shape `(n,)`; those that fill no tick are left.
            clock: Items of a tick.
            rule: When a split shows a change.

        Returns:
            The ticks taken, and whether the last of them shows a change.
        """
        used = len(self)
        if not used and len(items) >= clock:
            self._origin = float(items[0])
        ends = np.empty(len(self._ends) + 3 * (len(items) // clock))
        ends[: len(self._ends)] = self._ends
        ticks, used, changed = _grow(
            items,
            clock,
            self._origin,
            ends,
            used,
            self._levels,
            self._max_buckets,
            *_numbers(rule),
        )
        self._ends = ends[: 3 * used].copy()
        return ticks, changed

    def clearest(self, rule: Rule) -> int | None:
        """Name the bucket after which the mean changed most clearly; None when it did not."""
        found = _clearest(self._ends, len(self), *_numbers(rule)) if len(self) else -1
        return None if found < 0 else found

    def drop_oldest(self, buckets: int) -> None:
        """Forget the oldest buckets.

        Args:
            buckets: How many, at least 1 and fewer than there are.
        """
        ends = self._ends.reshape(-1, 3)
        self._ends = (ends[buckets:] - ends[buckets - 1]).ravel()
        level = len(self.levels) - 1
        while buckets:
            dropped = min(buckets, int(self._levels[level]))
            self._levels[level] -= dropped
            buckets -= dropped
            level -= 1

    def recentre(self) -> None:
        """Take sums about the mean of the window from now on."""
        shift = self._offset()
        count, total, square = self._ends.reshape(-1, 3).T
        self._ends = np.stack(
            (count, total - shift * count, square - shift * (2.0 * total - shift * count)), axis=1
        ).ravel()
        self._origin += shift

    def snapshot(self) -> dict[str, Any]:
        """Return the window as numbers and lists."""
        return {
            "origin": self._origin,
            "levels": self.levels,
            "ends": self._ends.reshape(-1, 3).tolist(),
        }

    @classmethod
    def restore(cls, max_buckets: int, state: Mapping[str, Any]) -> Self:
        """Make the window that `snapshot` described.

        Raises:
            ValueError: Its parts contradict each other.
        """
        window = cls(max_buckets)
        window._origin = float(state["origin"])
        levels = [int(level) for level in state["levels"]]
        window._ends = np.array(state["ends"], dtype=np.float64).ravel()
        # The loops above trust in these numbers.
        whole = len(levels) <= _MOST_LEVELS and min(levels, default=0) >= 0
        if not whole or 3 * sum(levels) != len(window._ends):
            raise ValueError(f"{len(window)} buckets are not those of the levels {levels}")
        window._levels[: len(levels)] = levels
        return window

    def _offset(self) -> float:
        return float(self._ends[-2] / self._ends[-3])


def _numbers(rule: Rule) -> tuple[float, int, int, float]:
    return rule.delta, rule.grace_period, rule.least, rule.dispersion
