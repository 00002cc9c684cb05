"""Many small tables as one: some array operations in place of one merge per cell, table and name.

The result is the same as adding the tables one after the other, up to the rounding of sums.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from streams.core.partials import CellKey, CellTable, FloatArray, IntArray, SparseColumn


def combined(tables: Sequence[CellTable]) -> CellTable:
    """Add tables up; cells come in the order in which they first occur."""
    if len(tables) == 1:
        return tables[0]
    index: dict[CellKey, int] = {}
    rows = [
        np.array([index.setdefault(key, len(index)) for key in table.keys], dtype=np.int64)
        for table in tables
    ]
    parts = list(zip(tables, rows, strict=True))
    total = CellTable(list(index))
    for name in _names(table.dense for table in tables):
        found = [(t.dense[name], r) for t, r in parts if name in t.dense]
        total.dense[name] = _summed(found, len(index))
    for name in _names(table.sparse for table in tables):
        columns = [(t.sparse[name], r) for t, r in parts if name in t.sparse]
        total.sparse[name] = SparseColumn.count(
            np.concatenate([r[column.cells] for column, r in columns]),
            np.concatenate([column.keys for column, _ in columns]),
            np.concatenate([column.sums for column, _ in columns]),
        )
    for name in _names(table.moments for table in tables):
        found = [(t.moments[name], r) for t, r in parts if name in t.moments]
        total.moments[name] = _merged_moments(found, len(index))
    for name in _names(table.sketches for table in tables):
        total.sketches[name] = _merged_sketches(
            name, [(t.sketches[name], r) for t, r in parts if name in t.sketches], len(index)
        )
    return total


def _names(columns: Iterable[Iterable[str]]) -> list[str]:
    """All names, in the order in which they first occur."""
    return list(dict.fromkeys(name for names in columns for name in names))


def _summed(parts: Sequence[tuple[FloatArray, IntArray]], cells: int) -> FloatArray:
    """Sum rows by cell; shape [cells, ...].

    Raises:
        ValueError: the parts have rows of different shapes.
    """
    values = np.concatenate([part for part, _ in parts])
    shape = values.shape[1:]
    width = int(np.prod(shape))
    flat = np.concatenate([rows for _, rows in parts])[:, None] * width + np.arange(width)
    sums = np.bincount(flat.ravel(), values.ravel(), cells * width)
    return sums.reshape(cells, *shape).astype(np.float64)


def _merged_moments(parts: Sequence[tuple[FloatArray, IntArray]], cells: int) -> FloatArray:
    """Merge (weight, mean, squared deviations) by cell; shape [cells, ..., 3]."""
    values = np.concatenate([part for part, _ in parts])
    rows = np.concatenate([rows for _, rows in parts])
    weights, means = values[..., 0], values[..., 1]
    weight = _summed([(weights, rows)], cells)
    safe = np.where(weight == 0.0, 1.0, weight)
    # Means are summed as differences from one of them, so that large ones lose no digits.
    first = np.zeros(weight.shape)
    first[rows[::-1]] = means[::-1]
    mean = first + _summed([(weights * (means - first[rows]), rows)], cells) / safe
    spread = values[..., 2] + weights * (means - mean[rows]) ** 2
    out = np.stack([weight, mean, _summed([(spread, rows)], cells)], axis=-1)
    return np.where((weight == 0.0)[..., None], 0.0, out)


def _merged_sketches(
    name: str, parts: Sequence[tuple[list[bytes | None], IntArray]], cells: int
) -> list[bytes | None]:
    by_cell: list[list[bytes]] = [[] for _ in range(cells)]
    for sketches, rows in parts:
        for row, data in zip(rows.tolist(), sketches, strict=True):
            if data is not None:
                by_cell[row].append(data)
    kind = HyperLogLog if name.partition(":")[0] == "distinct" else FrequentItems
    return [_joined(kind, found) for found in by_cell]


def _joined(kind: type[HyperLogLog | FrequentItems], found: Sequence[bytes]) -> bytes | None:
    if len(found) < 2:
        return found[0] if found else None
    total = kind.from_bytes(found[0])
    for data in found[1:]:
        total.merge(kind.from_bytes(data))  # type: ignore[arg-type]  # both are of one kind
    return total.to_bytes()
