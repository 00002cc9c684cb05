"""Predictions of one tick, reduced to traffic and inputs tables."""

import numpy as np
from numpy.typing import NDArray

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from detectors.sketches.log_buckets import log_keys
from streams.core.join.cells import Cells, cells_of
from streams.core.join.groups import Groups
from streams.core.join.reduce_numeric import reduce_numeric
from streams.core.layout import CLASS_TASKS, Layout
from streams.core.partials import PREDICTION_TIME, CellTable, SparseColumn
from streams.events.columns import MISSING, WRONG_TYPE, Coded, PredictionBlock

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
    panes = block.ts - block.ts % layout.pane
    cells = cells_of(PREDICTION_TIME, groups, group, panes)
    traffic = _traffic(layout, block, cells)
    if distinct is not None:
        traffic.sketches["distinct"] = _distinct(_column(layout, block, distinct), cells)
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
    score = block.score
    if score is None:
        scored = np.zeros(0, dtype=np.int64)
    else:
        usable = ~np.isnan(score if score.ndim == 1 else score[:, 0])
        scored = np.flatnonzero(usable)
    predicted = np.flatnonzero(~np.isnan(block.predicted))
    table = CellTable(cells.keys)
    table.dense["counts"] = np.stack(
        [
            cells.count(),
            cells.count(block.error.astype(np.float64)),
            cells.count(rows=scored),
        ],
        axis=1,
    )
    if layout.task in CLASS_TASKS:
        codes = block.predicted[predicted].astype(np.int64)
        table.dense["classes"] = cells.count_by(codes, len(layout.classes), rows=predicted)
    if layout.task == "binary" and score is not None and len(scored):
        table.sparse["score"] = _sparse(cells, scored, layout.score_bins.assign(score[scored]))
    if layout.task == "regression" and len(predicted):
        values = block.predicted[predicted]
        table.sparse["prediction"] = _sparse(cells, predicted, log_keys(values))
        table.moments["prediction"] = cells.moments(values, None, predicted)
        if layout.prediction_bins is not None:
            table.dense["prediction_bins"] = cells.count_by(
                layout.prediction_bins.assign(values), len(layout.prediction_bins), rows=predicted
            )
    timed = np.flatnonzero(~np.isnan(block.latency))
    if len(timed):
        table.sparse["latency"] = _sparse(cells, timed, log_keys(block.latency[timed]))
    return table


def _sparse(cells: Cells, rows: Ints, keys: Ints) -> SparseColumn:
    of, _ = cells.pairs(rows, None)
    return SparseColumn.count(of, np.repeat(keys, cells.of_rows.shape[1]), None)


def _distinct(column: Coded, cells: Cells) -> list[bytes | None]:
    of, _ = cells.pairs(None, None)
    codes = np.repeat(column.codes, cells.of_rows.shape[1])
    sketches: list[bytes | None] = []
    for cell in range(len(cells)):
        used = np.unique(codes[of == cell])
        sketches.append(_hyperloglog([column.values[c] for c in used.tolist() if c >= 0]))
    return sketches


def _hyperloglog(values: list[str]) -> bytes | None:
    if not values:
        return None
    sketch = HyperLogLog()
    # In order of value: the codes' order depends on how the topic was cut into chunks.
    sketch.update_many(sorted(values))
    return sketch.to_bytes()


def _inputs(layout: Layout, block: PredictionBlock, cells: Cells) -> CellTable:
    # Features are summarised for the whole model only: column 0.
    whole, cell = np.unique(cells.of_rows[:, 0], return_inverse=True)
    table = CellTable([cells.keys[i] for i in whole.tolist()])
    if layout.numeric:
        reduce_numeric(layout, block, cell, table)
    if layout.categorical:
        _categorical(layout, block, cell, table)
    return table


def _categorical(layout: Layout, block: PredictionBlock, cell: Ints, table: CellTable) -> None:
    count = len(table)
    width = len(layout.categorical)
    stats = np.zeros((count, width, 4))
    categories = np.zeros((count, layout.category_offsets[-1]))
    for g, (name, known) in enumerate(zip(layout.categorical, layout.categories, strict=True)):
        column = block.categorical[g]
        present = column.codes >= 0
        stats[:, g, 0] = np.bincount(cell, present, count)
        stats[:, g, 1] = np.bincount(cell, column.codes == MISSING, count)
        stats[:, g, 2] = np.bincount(cell, column.codes == WRONG_TYPE, count)
        position = {category: i for i, category in enumerate(known)}
        place = np.array(
            [position.get(value, len(known)) for value in column.values], dtype=np.int64
        )
        frequent: list[bytes | None] = []
        distinct: list[bytes | None] = []
        by_value = np.zeros((count, len(column.values)))
        if len(column.values):
            flat = cell[present] * len(column.values) + column.codes[present]
            counted = np.bincount(flat, minlength=by_value.size).astype(np.float64)
            by_value = counted.reshape(by_value.shape)
            size = len(known) + 1
            start = layout.category_offsets[g]
            for c in range(count):
                categories[c, start : start + size] = np.bincount(place, by_value[c], size)
            if layout.closed[g]:
                stats[:, g, 3] = categories[:, start + size - 1]
        for c in range(count):
            counts = {
                column.values[v]: int(by_value[c, v]) for v in np.flatnonzero(by_value[c]).tolist()
            }
            frequent.append(_frequent(counts))
            distinct.append(_hyperloglog(list(counts)))
        table.sketches[f"frequent:{name}"] = frequent
        table.sketches[f"distinct:{name}"] = distinct
    table.dense["categorical"] = stats.reshape(count, width * 4)
    table.dense["categories"] = categories


def _frequent(counts: dict[str, int]) -> bytes | None:
    if not counts:
        return None
    sketch = FrequentItems()
    # In order of value: what the sketch forgets when it is full depends on the order.
    for value, n in sorted(counts.items()):
        sketch.update(value, n)
    return sketch.to_bytes()
