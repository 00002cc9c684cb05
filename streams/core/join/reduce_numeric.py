"""Numeric features of one tick: every statistic in one walk over the matrix."""

import numpy as np
from numpy.typing import NDArray

from detectors.sketches.log_buckets import log_key
from streams.compiled import kernel
from streams.core.bins import cell_of, edges_up_to
from streams.core.join.arrays import plain
from streams.core.layout import QUANTILE_OFFSET, QUANTILE_STRIDE, Layout
from streams.core.partials import CellTable, SparseColumn
from streams.events.columns import PredictionBlock

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_ROWS = 64
"""Rows that are looked at twice, for their mean and their deviations, while they are in cache."""
_SIDE = 32
"""Features that are walked through together: their numbers share a cache line, their bins and
counts fit into the cache."""
_PAGE = 64
"""Buckets that are counted side by side; a feature's values use few of the pages."""
_MIDDLE = 64
"""The page of bucket 0. Buckets are within +-3727, pages within +-59."""
_PAGES = 2 * _MIDDLE
_FEW = 24
"""Buckets of cells of up to so many rows are sorted rather than counted."""

_NONE: Bools = np.zeros((0, 0), dtype=np.bool_)


def reduce_numeric(layout: Layout, block: PredictionBlock, cell: Ints, table: CellTable) -> None:
    """Add the statistics of numeric features to an inputs table.

    Args:
        layout: names, ranges and bins of the features.
        block: the rows.
        cell: cell of each row.
        table: takes ``numeric``, ``bins``, ``quantiles``.
    """
    count, width = len(table), len(layout.numeric)
    stats = np.zeros((count, width, 4))
    moments = np.zeros((count, width, 3))
    bins = np.zeros((count, layout.grid.size))
    grid = layout.grid
    pairs = _reduce(
        plain(block.numeric),
        _NONE if block.numeric_bad is None else plain(block.numeric_bad),
        cell,
        *layout.limits,
        grid.first,
        grid.low,
        grid.scale,
        grid.table,
        grid.table_at,
        grid.edges,
        stats,
        moments,
        bins,
    )
    table.dense["numeric"] = stats.reshape(count, width * 4)
    table.moments["numeric"] = moments
    if layout.grid.size:
        table.dense["bins"] = bins
    table.sparse["quantiles"] = SparseColumn(*pairs)


@kernel
def _order(cell: Ints, cells: int) -> tuple[Ints, Ints]:
    """Rows by cell, each cell's in their order, and where each cell's begin and end."""
    ends = np.zeros(cells + 1, np.int64)
    for i in range(len(cell)):
        ends[cell[i] + 1] += 1
    for c in range(cells):
        ends[c + 1] += ends[c]
    place = ends[:cells].copy()
    order = np.empty(len(cell), np.int64)
    for i in range(len(cell)):
        order[place[cell[i]]] = i
        place[cell[i]] += 1
    return order, ends


@kernel
def _reduce(
    values: Floats,
    bad: Bools,
    cell: Ints,
    low: Floats,
    high: Floats,
    bins_first: Ints,
    bins_low: Floats,
    bins_scale: Floats,
    bins_table: Ints,
    table_at: Ints,
    edges: Floats,
    stats: Floats,
    moments: Floats,
    bins: Floats,
) -> tuple[Ints, Ints, Floats]:
    """Fill ``stats``, ``moments`` and ``bins``; return (cell, key, count) of the quantiles."""
    cells, width = stats.shape[0], values.shape[1]
    order, ends = _order(cell, cells)
    room = len(cell) * width
    of_cells, of_keys, of_sums = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    used = 0
    present, sums, squares = np.empty(_SIDE, np.int64), np.empty(_SIDE), np.empty(_SIDE)
    few, held = np.empty((_SIDE, _FEW), np.int64), np.empty(_SIDE, np.int64)
    # Page of counts by feature and bucket, 0 for none.
    pages = np.empty((_SIDE, _PAGES), np.int32)
    counts = np.empty((1 + _SIDE * _PAGES, _PAGE), np.int32)
    for c in range(cells):
        sort = ends[c + 1] - ends[c] <= _FEW
        for left in range(0, width, _SIDE):
            side = min(_SIDE, width - left)
            taken = 1
            held[:] = 0
            if not sort:
                pages[:] = 0
            for begin in range(ends[c], ends[c + 1], _ROWS):
                end = min(begin + _ROWS, ends[c + 1])
                present[:] = 0
                sums[:] = 0.0
                squares[:] = 0.0
                for at in range(begin, end):
                    row = order[at]
                    for k in range(side):
                        f = left + k
                        value = values[row, f]
                        if np.isnan(value):
                            stats[c, f, 2 if len(bad) and bad[row, f] else 1] += 1.0
                            continue
                        present[k] += 1
                        sums[k] += value
                        if value < low[f] or value > high[f]:
                            stats[c, f, 3] += 1.0
                        if bins_first[f] >= 0:
                            start = table_at[f]
                            size = table_at[f + 1] - start - 1
                            here = start + cell_of(value, bins_low[f], bins_scale[f], size)
                            edge = edges_up_to(value, edges, bins_table[here], bins_table[here + 1])
                            bins[c, bins_first[f] + edge - bins_table[start]] += 1.0
                        key = log_key(value)
                        if sort:
                            place = held[k]
                            while place > 0 and few[k, place - 1] > key:
                                few[k, place] = few[k, place - 1]
                                place -= 1
                            few[k, place] = key
                            held[k] += 1
                            continue
                        page = pages[k, (key >> 6) + _MIDDLE]
                        if page == 0:
                            page = np.int32(taken)
                            taken += 1
                            pages[k, (key >> 6) + _MIDDLE] = page
                            counts[page, :] = 0
                        counts[page, key & (_PAGE - 1)] += 1
                for k in range(side):
                    sums[k] /= max(present[k], 1)
                for at in range(begin, end):
                    row = order[at]
                    for k in range(side):
                        deviation = values[row, left + k] - sums[k]
                        squares[k] += 0.0 if np.isnan(values[row, left + k]) else deviation**2
                for k in range(side):
                    if present[k]:
                        _merge(moments[c, left + k], present[k], sums[k], squares[k])
            for k in range(side):
                f = left + k
                stats[c, f, 0] = moments[c, f, 0]
                base = f * QUANTILE_STRIDE + QUANTILE_OFFSET
                began = used
                for at in range(held[k]):
                    if used > began and of_keys[used - 1] == base + few[k, at]:
                        of_sums[used - 1] += 1.0
                        continue
                    of_keys[used] = base + few[k, at]
                    of_sums[used] = 1.0
                    used += 1
                if not sort:
                    for p in range(_PAGES):
                        if pages[k, p]:
                            for bucket in range(_PAGE):
                                count = counts[pages[k, p], bucket]
                                if count:
                                    of_keys[used] = base + (p - _MIDDLE) * _PAGE + bucket
                                    of_sums[used] = count
                                    used += 1
                of_cells[began:used] = c
    return of_cells[:used].copy(), of_keys[:used].copy(), of_sums[:used].copy()


@kernel
def _merge(into: Floats, count: int, mean: float, squares: float) -> None:
    """Add a group of numbers to (weight, mean, squared deviations)."""
    before = into[0]
    if before == 0.0:
        into[0], into[1], into[2] = count, mean, squares
        return
    delta = mean - into[1]
    share = count / (before + count)
    into[0] = before + count
    into[1] += delta * share
    into[2] += squares + delta * delta * before * share
