"""Sums over rows by cell: dense columns, keys and moments.

Each row adds to the cells of its set, in every view; see :class:`streams.core.join.cells.Cells`.
"""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel
from streams.core.join.cells import Cells
from streams.core.partials import SparseColumn

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NO_KEY = -(1 << 62)
"""Stands where a row has no key."""
ONCE: Floats = np.zeros(0)
"""Weights of rows that all count once."""

_DENSE = 1 << 12
_WIDE = 1 << 16


def roll_up(table: Floats, cells: Cells) -> Floats:
    """Add sums per set, shape (sets, n), up to sums per cell, shape (cells, n)."""
    sums = np.zeros((len(cells), table.shape[1]))
    _roll_up(table, cells.of_sets, sums)
    return sums


@kernel
def _roll_up(table: Floats, of_sets: Ints, sums: Floats) -> None:
    for s in range(of_sets.shape[0]):
        for j in range(of_sets.shape[1]):
            cell = of_sets[s, j]
            for k in range(table.shape[1]):
                sums[cell, k] += table[s, k]


def count_keys(cells: Cells, keys: Ints, weights: Floats = ONCE) -> SparseColumn:
    """Sum weights by cell and key.

    Args:
        cells: the cells of the rows.
        keys: (rows, n) keys of each row, or ``NO_KEY``.
        weights: weight of each row, or ``ONCE``.
    """
    return SparseColumn(*_count_keys(cells.sets, cells.of_sets, len(cells), keys, weights))


@kernel
def _distinct_keys(sets: Ints, keys: Ints) -> tuple[Ints, int, Ints, int]:
    """Find the keys in use.

    Returns:
        The keys, ascending; the lowest; by key less the lowest its number among them, empty if keys
        lie too far apart; how many times a row of any view has one.
    """
    low = high = total = 0
    for i in range(keys.shape[0]):
        views = 0
        for v in range(sets.shape[0]):
            views += sets[v, i] >= 0
        if views == 0:
            continue
        for k in range(keys.shape[1]):
            key = keys[i, k]
            if key == NO_KEY:
                continue
            if total == 0:
                low = high = key
            elif key < low:
                low = key
            elif key > high:
                high = key
            total += views
    if total == 0:
        return np.zeros(0, np.int64), 0, np.zeros(0, np.int64), 0
    width = high - low + 1
    if width > max(_WIDE, 4 * total):
        flat = keys.ravel()
        return np.unique(flat[flat != NO_KEY]), low, np.zeros(0, np.int64), total
    rank = np.zeros(width, np.int64)
    for i in range(keys.shape[0]):
        for k in range(keys.shape[1]):
            key = keys[i, k]
            # Rows that count in no view may have keys beyond the others'.
            if low <= key <= high:
                rank[key - low] = 1
    count = 0
    for at in range(width):
        count += rank[at]
    found = np.empty(count, np.int64)
    count = 0
    for at in range(width):
        if rank[at]:
            rank[at] = count
            found[count] = low + at
            count += 1
    return found, low, rank, total


@kernel
def _count_keys(
    sets: Ints, of_sets: Ints, cells: int, keys: Ints, weights: Floats
) -> tuple[Ints, Ints, Floats]:
    """Sum weights by cell and key; cells, keys and sums, sorted by cell, then key."""
    found, low, rank, total = _distinct_keys(sets, keys)
    width = len(found)
    pairs = total * of_sets.shape[1]
    if cells * width > max(_DENSE, 4 * pairs):
        return _sort_keys(sets, of_sets, cells, keys, weights, found, pairs)
    hits = np.zeros(cells * width, np.int64)
    sums = np.zeros(cells * width if len(weights) else 0)
    for i in range(keys.shape[0]):
        for k in range(keys.shape[1]):
            key = keys[i, k]
            if key == NO_KEY:
                continue
            for v in range(sets.shape[0]):
                own = sets[v, i]
                if own < 0:
                    continue
                at = rank[key - low] if len(rank) else np.searchsorted(found, key)
                for j in range(of_sets.shape[1]):
                    place = of_sets[own, j] * width + at
                    hits[place] += 1
                    if len(weights):
                        sums[place] += weights[i]
    used = 0
    for place in range(len(hits)):
        used += hits[place] > 0
    of_cells, of_keys, of_sums = np.empty(used, np.int64), np.empty(used, np.int64), np.empty(used)
    used = 0
    for cell in range(cells):
        for at in range(width):
            place = cell * width + at
            if hits[place]:
                of_cells[used] = cell
                of_keys[used] = found[at]
                of_sums[used] = sums[place] if len(weights) else np.float64(hits[place])
                used += 1
    return of_cells, of_keys, of_sums


@kernel
def _sort_keys(
    sets: Ints, of_sets: Ints, cells: int, keys: Ints, weights: Floats, found: Ints, pairs: int
) -> tuple[Ints, Ints, Floats]:
    """As _count_keys, where cells times keys are too many: by sorting, first by cell."""
    ends = np.zeros(cells + 1, np.int64)
    for i in range(keys.shape[0]):
        some = 0
        for k in range(keys.shape[1]):
            some += keys[i, k] != NO_KEY
        for v in range(sets.shape[0]):
            if sets[v, i] >= 0:
                for j in range(of_sets.shape[1]):
                    ends[of_sets[sets[v, i], j] + 1] += some
    for cell in range(cells):
        ends[cell + 1] += ends[cell]
    place = ends[:cells].copy()
    # A key's number and the row in one word: sorting keeps rows of one key in order.
    packed = np.empty(pairs, np.int64)
    rows = keys.shape[0]
    for i in range(rows):
        for k in range(keys.shape[1]):
            if keys[i, k] == NO_KEY:
                continue
            code = np.searchsorted(found, keys[i, k]) * rows + i
            for v in range(sets.shape[0]):
                if sets[v, i] >= 0:
                    for j in range(of_sets.shape[1]):
                        cell = of_sets[sets[v, i], j]
                        packed[place[cell]] = code
                        place[cell] += 1
    of_cells, of_keys = np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    of_sums = np.empty(pairs)
    used = 0
    for cell in range(cells):
        part = packed[ends[cell] : ends[cell + 1]]
        part.sort()
        last = np.int64(-1)
        for code in part:
            at = code // rows
            weight = weights[code % rows] if len(weights) else 1.0
            if at == last:
                of_sums[used - 1] += weight
                continue
            of_cells[used] = cell
            of_keys[used] = found[at]
            of_sums[used] = weight
            used += 1
            last = at
    return of_cells[:used].copy(), of_keys[:used].copy(), of_sums[:used].copy()


def moments(cells: Cells, values: Floats, weights: Floats = ONCE) -> Floats:
    """(weight, mean, squared deviations) by cell; shape (cells, 3).

    Args:
        cells: the cells of the rows.
        values: value of each row; NaN for none.
        weights: weight of each row, or ``ONCE``.
    """
    out = np.zeros((len(cells), 3))
    _moments(cells.sets, cells.of_sets, values, weights, out)
    return out


@kernel
def _moments(sets: Ints, of_sets: Ints, values: Floats, weights: Floats, out: Floats) -> None:
    for squares in range(2):
        for i in range(len(values)):
            if np.isnan(values[i]):
                continue
            weight = weights[i] if len(weights) else 1.0
            for v in range(sets.shape[0]):
                if sets[v, i] < 0:
                    continue
                for j in range(of_sets.shape[1]):
                    cell = of_sets[sets[v, i], j]
                    if squares:
                        deviation = values[i] - out[cell, 1]
                        out[cell, 2] += weight * deviation * deviation
                    else:
                        out[cell, 0] += weight
                        out[cell, 1] += weight * values[i]
        if not squares:
            for cell in range(out.shape[0]):
                out[cell, 1] = out[cell, 1] / out[cell, 0] if out[cell, 0] != 0.0 else 0.0
