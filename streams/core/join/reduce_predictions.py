"""Predictions of one tick, reduced to traffic and inputs tables."""

import numpy as np
from numpy.typing import NDArray

from detectors.sketches.log_buckets import log_key
from streams.compiled import kernel
from streams.core.bins import cell_of, edges_up_to
from streams.core.join.arrays import plain
from streams.core.join.cells import Cells, View, cells_of
from streams.core.join.counting import NO_KEY, count_keys, moments, roll_up
from streams.core.join.groups import Groups
from streams.core.join.reduce_categorical import distinct_values, reduce_categorical
from streams.core.join.reduce_numeric import reduce_numeric
from streams.core.layout import CLASS_TASKS, Layout
from streams.core.partials import PREDICTION_TIME, CellTable
from streams.events.columns import MISSING, Coded, PredictionBlock

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_COUNTS = 3
_NO_SCORES: Floats = np.zeros((0, 1))


def reduce_predictions(
    layout: Layout,
    distinct: str | None,
    block: PredictionBlock,
    groups: Groups,
    group: NDArray[np.int32],
) -> tuple[CellTable, CellTable | None]:
    """Summarise the accepted predictions of one model and tick.

    Args:
        layout: names, widths and bins.
        distinct: tag or feature whose distinct values are counted, if any.
        block: the rows.
        groups: the model's groups.
        group: group of each row.

    Returns:
        The traffic table, and the inputs table unless the model has no features.
    """
    cells = cells_of([View(PREDICTION_TIME, block.ts)], groups, group, layout.pane)
    traffic = _traffic(layout, block, cells)
    if distinct is not None:
        column = _column(layout, block, distinct)
        traffic.sketches["distinct"] = distinct_values(column, cells)
    if not layout.numeric and not layout.categorical:
        return traffic, None
    return traffic, _inputs(layout, block, cells)


def _column(layout: Layout, block: PredictionBlock, name: str) -> Coded:
    if name in layout.categorical:
        return block.categorical[layout.categorical.index(name)]
    if name in layout.numeric:
        numbers = block.numeric[:, layout.numeric.index(name)]
        values, codes = np.unique(numbers, return_inverse=True)
        missing = np.isnan(numbers)
        return Coded(
            [repr(value) for value in values.tolist()],
            np.where(missing, MISSING, codes).astype(np.int32),
        )
    return block.tags.get(name) or Coded.absent(len(block))


def _traffic(layout: Layout, block: PredictionBlock, cells: Cells) -> CellTable:
    rows = len(block)
    classes = len(layout.classes) if layout.task in CLASS_TASKS else 0
    sums = np.zeros((len(cells.of_sets), _COUNTS + classes))
    # Keys of scores, predictions and latencies; a table has the statistics that some row has.
    keys = np.empty((3, rows, 1), dtype=np.int64)
    used = np.zeros(3, dtype=np.int64)
    score, bins = block.score, layout.score_bins
    _reduce(
        cells.sets[0],
        plain(block.error),
        plain(block.predicted),
        _NO_SCORES if score is None else plain(score.reshape(rows, -1)),
        plain(block.latency),
        layout.task == "binary",
        layout.task == "regression",
        bins.low,
        bins.scale,
        bins.table,
        bins.edges,
        sums,
        keys,
        used,
    )
    scored, numbers, timed = used.tolist()
    table = CellTable(cells.keys)
    summed = roll_up(sums, cells)
    table.dense["counts"] = summed[:, :_COUNTS].copy()
    if classes:
        table.dense["classes"] = summed[:, _COUNTS:].copy()
    if scored:
        table.sparse["score"] = count_keys(cells, keys[0])
    if numbers:
        table.sparse["prediction"] = count_keys(cells, keys[1])
        table.moments["prediction"] = moments(cells, block.predicted)
        if layout.prediction_bins is not None:
            table.dense["prediction_bins"] = _prediction_bins(layout, block, cells)
    if timed:
        table.sparse["latency"] = count_keys(cells, keys[2])
    return table


def _prediction_bins(layout: Layout, block: PredictionBlock, cells: Cells) -> Floats:
    assert layout.prediction_bins is not None  # noqa: S101 - asked for only then
    known = np.flatnonzero(~np.isnan(block.predicted))
    sums = np.zeros((len(cells.of_sets), len(layout.prediction_bins)))
    np.add.at(
        sums, (cells.sets[0][known], layout.prediction_bins.assign(block.predicted[known])), 1
    )
    return roll_up(sums, cells)


@kernel
def _reduce(
    sets: Ints,
    error: NDArray[np.bool_],
    predicted: Floats,
    score: Floats,
    latency: Floats,
    binary: bool,  # noqa: FBT001 - kernels take arguments by place
    regression: bool,  # noqa: FBT001 - likewise
    low: float,
    scale: float,
    table: Ints,
    edges: Floats,
    sums: Floats,
    keys: Ints,
    used: Ints,
) -> None:
    """Fill counts and classes by set, and the keys of each row; ``used`` counts the keys."""
    for i in range(len(sets)):
        own = sets[i]
        sums[own, 0] += 1.0
        if error[i]:
            sums[own, 1] += 1.0
        keys[:, i, 0] = NO_KEY
        if len(score) and not np.isnan(score[i, 0]):
            sums[own, 2] += 1.0
            if binary:
                cell = cell_of(score[i, 0], low, scale, len(table) - 1)
                keys[0, i, 0] = edges_up_to(score[i, 0], edges, table[cell], table[cell + 1])
                used[0] += 1
        if not np.isnan(predicted[i]):
            if regression:
                keys[1, i, 0] = log_key(predicted[i])
                used[1] += 1
            elif sums.shape[1] > _COUNTS:
                sums[own, _COUNTS + np.int64(predicted[i])] += 1.0
        if not np.isnan(latency[i]):
            keys[2, i, 0] = log_key(latency[i])
            used[2] += 1


def _inputs(layout: Layout, block: PredictionBlock, cells: Cells) -> CellTable:
    # Features are summarised for the whole model only: column 0.
    whole = sorted(set(cells.of_sets[:, 0].tolist()))
    number = np.zeros(len(cells), dtype=np.int64)
    number[whole] = np.arange(len(whole))
    cell = number[cells.of_sets[:, 0]][cells.sets[0]]
    table = CellTable([cells.keys[i] for i in whole])
    if layout.numeric:
        reduce_numeric(layout, block, cell, table)
    if layout.categorical:
        reduce_categorical(layout, block, cell, table)
    return table
