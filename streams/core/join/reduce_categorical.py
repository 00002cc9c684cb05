"""Categorical features of one tick, and distinct values of any column."""

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from streams.compiled import kernel
from streams.core.join.arrays import plain
from streams.core.join.cells import Cells
from streams.core.join.counting import NO_KEY, count_keys
from streams.core.layout import Layout
from streams.core.partials import CellTable, SparseColumn
from streams.events.columns import MISSING, WRONG_TYPE, Coded, PredictionBlock

Ints = NDArray[np.int64]

_FEW = 100
"""Sets of up to so many values are likely to come again."""


def distinct_values(column: Coded, cells: Cells) -> list[bytes | None]:
    """Sketch of the distinct values of a column in each cell; None without any."""
    counted = count_keys(cells, _keys(column))
    return [
        _hyperloglog(sorted(column.values[code] for code in codes))
        for codes, _ in _by_cell(counted, len(cells))
    ]


def reduce_categorical(
    layout: Layout, block: PredictionBlock, cell: Ints, table: CellTable
) -> None:
    """Add the statistics of categorical features to an inputs table.

    Args:
        layout: names and known categories of the features.
        block: the rows.
        cell: cell of each row.
        table: takes ``categorical``, ``categories`` and the sketches.
    """
    count = len(table)
    own = np.arange(count).reshape(-1, 1)
    cells = Cells(table.keys, cell.reshape(1, -1), own)
    stats = np.zeros((count, len(layout.categorical), 4))
    categories = np.zeros((count, layout.category_offsets[-1]))
    for g, name in enumerate(layout.categorical):
        column = block.categorical[g]
        known = layout.category_positions[g]
        first, others = layout.category_offsets[g], len(known)
        counted = np.zeros((count, 4))
        _count(cell, plain(column.codes), counted)
        stats[:, g] = counted
        frequent: list[bytes | None] = []
        distinct: list[bytes | None] = []
        for c, (codes, sums) in enumerate(_by_cell(count_keys(cells, _keys(column)), count)):
            # In order of value: the codes' order depends on how the topic was cut into chunks.
            counts = sorted(zip((column.values[code] for code in codes), sums, strict=True))
            for value, times in counts:
                categories[c, first + known.get(value, others)] += times
            frequent.append(_frequent(counts))
            distinct.append(_hyperloglog([value for value, _ in counts]))
        if layout.closed[g]:
            stats[:, g, 3] = categories[:, first + others]
        table.sketches[f"frequent:{name}"] = frequent
        table.sketches[f"distinct:{name}"] = distinct
    table.dense["categorical"] = stats.reshape(count, -1)
    table.dense["categories"] = categories


@kernel
def _count(cell: Ints, codes: NDArray[np.int32], stats: NDArray[np.float64]) -> None:
    """Count values that are present, missing and of the wrong type, by cell."""
    for i in range(len(cell)):
        if codes[i] == MISSING:
            stats[cell[i], 1] += 1.0
        elif codes[i] == WRONG_TYPE:
            stats[cell[i], 2] += 1.0
        else:
            stats[cell[i], 0] += 1.0


def _keys(column: Coded) -> Ints:
    """Codes as keys, shape (rows, 1)."""
    keys = column.codes.astype(np.int64).reshape(-1, 1)
    keys[keys < 0] = NO_KEY
    return keys


def _by_cell(counted: SparseColumn, cells: int) -> Iterator[tuple[list[int], list[float]]]:
    """Keys and sums of each cell."""
    ends = np.searchsorted(counted.cells, np.arange(cells + 1)).tolist()
    keys, sums = counted.keys.tolist(), counted.sums.tolist()
    for begin, end in itertools.pairwise(ends):
        yield keys[begin:end], sums[begin:end]


def _hyperloglog(values: list[str]) -> bytes | None:
    if not values:
        return None
    return _known_set(tuple(values)) if len(values) <= _FEW else _sketch(values)


@lru_cache(maxsize=1024)
def _known_set(values: tuple[str, ...]) -> bytes:
    """Sketch a set that may have come before, as those of features of few categories do."""
    return _sketch(values)


def _sketch(values: list[str] | tuple[str, ...]) -> bytes:
    sketch = HyperLogLog()
    sketch.update_many(values)
    return sketch.to_bytes()


def _frequent(counts: list[tuple[str, float]]) -> bytes | None:
    if not counts:
        return None
    sketch = FrequentItems()
    # In order of value: what the sketch forgets when it is full depends on the order.
    for value, times in counts:
        sketch.update(value, int(times))
    return sketch.to_bytes()
