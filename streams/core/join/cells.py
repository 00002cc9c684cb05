"""Which cells rows count in: the whole model and each of their segments, by pane."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel
from streams.core.join.arrays import plain
from streams.core.join.groups import Groups
from streams.core.partials import CellKey

Ints = NDArray[np.int64]

_DENSE = 1 << 10


@dataclass(slots=True)
class Cells:
    """The cells of some rows, in one or more views.

    Rows of one view, group and pane share a *set* of cells: what they amount to is added up per
    set first, and then once per cell.

    Attributes:
        keys: the cells.
        sets: (views, rows) number of each row's set; -1 for rows that do not count in a view.
        of_sets: (sets, 1 + segments) the cells of each set; column 0 is the whole model's.
    """

    keys: list[CellKey]
    sets: Ints
    of_sets: Ints

    def __len__(self) -> int:
        """Count the cells."""
        return len(self.keys)


@dataclass(slots=True)
class View:
    """Rows as one view sees them.

    Attributes:
        name: name of the view.
        ts: when each row happened, ms.
        rows: marks the rows that count; all when None.
    """

    name: str
    ts: Ints
    rows: NDArray[np.bool_] | None = None


def cells_of(views: Sequence[View], groups: Groups, group: NDArray[np.int32], pane: int) -> Cells:
    """Find the cells of rows from their groups and the panes of their timestamps.

    Args:
        views: the views, the rows of each in the same order.
        groups: the model's groups.
        group: group of each row.
        pane: length of a pane, ms.
    """
    sets = np.empty((len(views), len(group)), dtype=np.int64)
    index: dict[CellKey, int] = {}
    of_sets: list[list[int]] = []
    group = plain(group)
    everything = np.zeros(0, dtype=np.bool_)
    for number, view in enumerate(views):
        rows = everything if view.rows is None else view.rows
        numbers, panes = _number(
            group, plain(view.ts), plain(rows), pane, len(of_sets), sets[number]
        )
        for of, start in zip(numbers.tolist(), panes.tolist(), strict=True):
            of_sets.append(
                [
                    index.setdefault(CellKey(view.name, version, segment, start), len(index))
                    for version, segment in groups.cells(of)
                ]
            )
    return Cells(list(index), sets, np.array(of_sets, dtype=np.int64).reshape(len(of_sets), -1))


@kernel
def _number(
    group: NDArray[np.int32],
    ts: Ints,
    rows: NDArray[np.bool_],
    pane: int,
    first: int,
    sets: Ints,
) -> tuple[Ints, Ints]:
    """Number the pairs of group and pane from ``first`` on, ascending, and every row by them.

    Args:
        group: group of each row.
        ts: timestamp of each row.
        rows: marks the rows that count; empty for all.
        pane: length of a pane.
        first: the first number.
        sets: takes the number of each row, -1 for rows that do not count.

    Returns:
        Group and start of the pane by number.
    """
    n = len(group)
    start = low = high = last = 0
    some = False
    for i in range(n):
        if len(rows) and not rows[i]:
            sets[i] = -1
            continue
        at = ts[i]
        if not some:
            start = at - at % pane
            low = high = start
            some = True
        elif not start <= at < start + pane:
            start = at - at % pane
            low = min(low, start)
            high = max(high, start)
        sets[i] = start
        last = max(last, int(group[i]))
    if not some:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    span = (high - low) // pane + 1
    for i in range(n):
        if len(rows) and not rows[i]:
            continue
        sets[i] = np.int64(group[i]) * span + (sets[i] - low) // pane
    size = (last + 1) * span
    if size <= max(_DENSE, 8 * n):
        numbers = np.full(size, -1, np.int64)
        for i in range(n):
            if sets[i] >= 0:
                numbers[sets[i]] = 0
        found = np.empty(min(n, size), np.int64)
        count = 0
        for pair in range(size):
            if numbers[pair] == 0:
                numbers[pair] = first + count
                found[count] = pair
                count += 1
        found = found[:count]
        for i in range(n):
            if sets[i] >= 0:
                sets[i] = numbers[sets[i]]
    else:
        found = np.unique(sets[sets >= 0])
        for i in range(n):
            if sets[i] >= 0:
                sets[i] = first + np.searchsorted(found, sets[i])
    return found // span, found % span * pane + low
