"""Tumbling and hopping windows, made of panes that are merged once each."""

import math
from collections.abc import Iterable, Iterator

from streams.config import WindowConfig


def pane_of(windows: Iterable[WindowConfig]) -> int:
    """Length in ms of the panes that all the windows are made of."""
    return math.gcd(*(length for w in windows for length in (w.size, w.hop or w.size)))


def window_starts(timestamp: int, size: int, hop: int) -> Iterator[int]:
    """Starts of the windows ``[start, start + size)`` that hold a timestamp, ascending.

    >>> list(window_starts(125, size=60, hop=20))
    [80, 100, 120]
    """
    first = (timestamp - size) // hop * hop + hop
    return iter(range(first, timestamp + 1, hop))
