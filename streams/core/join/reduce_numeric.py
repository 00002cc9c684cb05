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
_PAGE = 64
"""Buckets that are counted side by side; a feature's values use few of the pages."""
_MIDDLE = 64
"""The page of bucket 0. Buckets are within +-3727, pages within +-59."""
_PAGES = 2 * _MIDDLE

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
    # Page of counts by feature and bucket, 0 for none; a cell cannot use more than it has values.
    pages = np.zeros((width, _PAGES), np.int64)
    most = 0
    for c in range(cells):
        most = max(most, ends[c + 1] - ends[c])
    held = 1 + min(most, _PAGES) * width
    counts = np.empty((held, _PAGE), np.int64)
    room = 64 + min(len(cell) * width, 256 * width * cells)
    of_cells, of_keys, of_sums = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    used = 0
    present, sums, squares = np.empty(width, np.int64), np.empty(width), np.empty(width)
    for c in range(cells):
        pages[:] = 0
        taken = 1
        for begin in range(ends[c], ends[c + 1], _ROWS):
            end = min(begin + _ROWS, ends[c + 1])
            present[:] = 0
            sums[:] = 0.0
            squares[:] = 0.0
            for at in range(begin, end):
                row = order[at]
                for f in range(width):
                    value = values[row, f]
                    if np.isnan(value):
                        stats[c, f, 2 if len(bad) and bad[row, f] else 1] += 1.0
                        continue
                    present[f] += 1
                    sums[f] += value
                    if value < low[f] or value > high[f]:
                        stats[c, f, 3] += 1.0
                    first = bins_first[f]
                    if first >= 0:
                        here = table_at[f]
                        here += cell_of(
                            value, bins_low[f], bins_scale[f], table_at[f + 1] - here - 1
                        )
                        base = bins_table[table_at[f]]
                        bins[
                            c,
                            first
                            + edges_up_to(value, edges, bins_table[here], bins_table[here + 1])
                            - base,
                        ] += 1.0
                    key = log_key(value)
                    page = pages[f, (key >> 6) + _MIDDLE]
                    if page == 0:
                        page = taken
                        taken += 1
                        pages[f, (key >> 6) + _MIDDLE] = page
                        counts[page, :] = 0
                    counts[page, key & (_PAGE - 1)] += 1
            for f in range(width):
                sums[f] /= max(present[f], 1)
            for at in range(begin, end):
                row = order[at]
                for f in range(width):
                    value = values[row, f]
                    if not np.isnan(value):
                        deviation = value - sums[f]
                        squares[f] += deviation * deviation
            for f in range(width):
                if present[f]:
                    before = moments[c, f, 0]
                    weight = before + present[f]
                    delta = sums[f] - moments[c, f, 1]
                    share = present[f] / weight
                    moments[c, f, 0] = weight
                    if before == 0.0:
                        moments[c, f, 1] = sums[f]
                        moments[c, f, 2] = squares[f]
                    else:
                        moments[c, f, 1] += delta * share
                        moments[c, f, 2] += squares[f] + delta * delta * before * share
        for f in range(width):
            stats[c, f, 0] = moments[c, f, 0]
            for p in range(_PAGES):
                page = pages[f, p]
                if page == 0:
                    continue
                if used + _PAGE > len(of_keys):
                    of_cells = _grown(of_cells)
                    of_keys = _grown(of_keys)
                    of_sums = _grown_sums(of_sums)
                for k in range(_PAGE):
                    if counts[page, k]:
                        of_cells[used] = c
                        key = (p - _MIDDLE) * _PAGE + k
                        of_keys[used] = f * QUANTILE_STRIDE + QUANTILE_OFFSET + key
                        of_sums[used] = counts[page, k]
                        used += 1
    return of_cells[:used].copy(), of_keys[:used].copy(), of_sums[:used].copy()


@kernel
def _grown(values: Ints) -> Ints:
    """Make room for twice as many."""
    out = np.empty(2 * len(values), np.int64)
    out[: len(values)] = values
    return out


@kernel
def _grown_sums(values: Floats) -> Floats:
    """Make room for twice as many."""
    out = np.empty(2 * len(values))
    out[: len(values)] = values
    return out
