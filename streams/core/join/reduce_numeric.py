"""Numeric features of one tick, all columns at once.

A loop over the features would cost twenty array calls a feature and tick; whole matrices cost as
many for all of them, which is what ticks of few rows, as in a replay, are made of.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.sketches.log_buckets import log_keys
from streams.core.layout import QUANTILE_OFFSET, QUANTILE_STRIDE, Layout
from streams.core.partials import CellTable, SparseColumn
from streams.events.columns import PredictionBlock

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def reduce_numeric(layout: Layout, block: PredictionBlock, cell: Ints, table: CellTable) -> None:
    """Add the statistics of numeric features to an inputs table.

    Args:
        layout: names, ranges and bins of the features.
        block: the rows.
        cell: cell of each row.
        table: takes ``numeric``, ``bins``, ``quantiles``.
    """
    count, width = len(table), len(layout.numeric)
    gaps = np.isnan(block.numeric)
    # Most ticks have no gaps, and need not be searched for them again and again.
    complete = not gaps.any()
    values = block.numeric if complete else np.where(gaps, 0.0, block.numeric)
    low, high = np.array(layout.ranges).T
    outside = ((values < low) | (values > high)) & ~gaps
    bad = gaps if block.numeric_bad is None else block.numeric_bad
    stats = np.zeros((count, width, 4))
    moments = np.zeros((count, width, 3))
    bins = np.zeros((count, layout.grid.size))
    codes = layout.grid.assign(values) if layout.grid.size else None
    binned = ~gaps[:, layout.grid.columns]
    for c in range(count):
        rows: Ints | slice = slice(None) if count == 1 else np.flatnonzero(cell == c)
        missing = gaps[rows].sum(axis=0)
        wrong = 0 if block.numeric_bad is None else bad[rows].sum(axis=0)
        of = values[rows]
        stats[c, :, 0] = present = len(of) - missing
        stats[c, :, 1] = missing - wrong
        stats[c, :, 2] = wrong
        stats[c, :, 3] = outside[rows].sum(axis=0)
        moments[c] = _moments(of, None if complete else gaps[rows], present)
        if codes is not None:
            held = codes[rows].ravel() if complete else codes[rows][binned[rows]]
            bins[c] = np.bincount(held, minlength=layout.grid.size)
    table.dense["numeric"] = stats.reshape(count, width * 4)
    table.moments["numeric"] = moments
    if codes is not None:
        table.dense["bins"] = bins
    table.sparse["quantiles"] = _quantiles(values, None if complete else gaps, cell)


def _moments(values: Floats, gaps: Bools | None, present: Ints) -> Floats:
    """(weight, mean, squared deviations) of each column; gaps hold 0 in ``values``."""
    mean = values.sum(axis=0) / np.maximum(present, 1)
    deviation = values - mean
    if gaps is not None:
        deviation[gaps] = 0.0
    squares = np.einsum("ij,ij->j", deviation, deviation)
    return np.stack([present, mean, squares], axis=1)


def _quantiles(values: Floats, gaps: Bools | None, cell: Ints) -> SparseColumn:
    if gaps is None:
        rows_of = np.repeat(cell, values.shape[1])
        features = np.tile(np.arange(values.shape[1]), len(values))
        keys = log_keys(values.ravel())
    else:
        rows, features = np.nonzero(~gaps)
        rows_of = cell[rows]
        keys = log_keys(values[rows, features])
    if not len(keys):
        return SparseColumn.count(rows_of, keys, None)
    # Numbered without the wide gaps between features, there are few enough to be counted densely.
    lowest = int(keys.min())
    span = int(keys.max()) - lowest + 1
    column = SparseColumn.count(rows_of, features * span + (keys - lowest), None)
    column.keys = (
        column.keys // span * QUANTILE_STRIDE + QUANTILE_OFFSET + column.keys % span + lowest
    )
    return column
