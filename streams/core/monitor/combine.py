"""Many small tables as one: some array operations in place of one merge per cell, table and name.

The result is the same as adding the tables one after the other, up to the rounding of sums.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from streams.compiled import kernel
from streams.core.partials import CellKey, CellTable, FloatArray, IntArray, SparseColumn
from streams.core.sums import total

_KEY_BITS = 32
_KEY_ZERO = 1 << 31
"""Keys of sparse statistics are within +-2**31."""

Part = tuple[CellTable, IntArray]
"""A table and the row of the whole that each of its cells has."""


@kernel
def _add_rows(values: FloatArray, rows: IntArray, out: FloatArray) -> None:
    """Add each row of ``values``, shape [n, width], to the row of ``out`` that ``rows`` names."""
    for i in range(len(rows)):
        row = rows[i]
        for at in range(values.shape[1]):
            out[row, at] += values[i, at]


@kernel
def _merge_rows(values: FloatArray, rows: IntArray, out: FloatArray) -> None:
    """Likewise for (weight, mean, squared deviations) side by side, shape [n, 3 * width]."""
    for i in range(len(rows)):
        row = rows[i]
        for at in range(0, values.shape[1], 3):
            more = values[i, at]
            weight = out[row, at] + more
            if weight == 0.0:
                out[row, at] = out[row, at + 1] = out[row, at + 2] = 0.0
                continue
            delta = values[i, at + 1] - out[row, at + 1]
            share = more / weight
            if out[row, at] == 0.0:
                out[row, at + 1] = values[i, at + 1]
            else:
                out[row, at + 1] += delta * share
            out[row, at + 2] += values[i, at + 2] + delta * delta * out[row, at] * share
            out[row, at] = weight


@kernel
def _compose(
    pairs: IntArray, cells: IntArray, bounds: IntArray, rows: IntArray, starts: IntArray
) -> bool:
    """Put the row of the whole in front of each key.

    Args:
        pairs: keys of all columns, one column after the other; overwritten.
        cells: the cell of each within its own table.
        bounds: where each column begins, and where the last one ends.
        rows: rows of the whole by cell, one table after the other.
        starts: where the rows of each table begin.

    Returns whether each column still ascends.
    """
    ascending = True
    for column in range(len(bounds) - 1):
        for i in range(bounds[column], bounds[column + 1]):
            row = rows[starts[column] + cells[i]]
            pairs[i] = (row << _KEY_BITS) + (pairs[i] + _KEY_ZERO)
            if i > bounds[column] and pairs[i] < pairs[i - 1]:
                ascending = False
    return ascending


def combined(tables: Sequence[CellTable]) -> CellTable:
    """Add tables up; cells come in the order in which they first occur."""
    if len(tables) == 1:
        return tables[0]
    index: dict[CellKey, int] = {}
    parts = [
        (t, np.array([index.setdefault(key, len(index)) for key in t.keys], dtype=np.int64))
        for t in tables
    ]
    whole = CellTable(list(index))
    for name in _names(table.dense for table in tables):
        found = [(t.dense[name], rows) for t, rows in parts if name in t.dense]
        whole.dense[name] = _gathered(found, len(index), _add_rows)
    for name in _names(table.sparse for table in tables):
        whole.sparse[name] = _added(name, parts)
    for name in _names(table.moments for table in tables):
        found = [(t.moments[name], rows) for t, rows in parts if name in t.moments]
        whole.moments[name] = _gathered(found, len(index), _merge_rows)
    for name in _names(table.sketches for table in tables):
        whole.sketches[name] = _merged_sketches(
            name, [(t.sketches[name], rows) for t, rows in parts if name in t.sketches], len(index)
        )
    return whole


def _names(columns: Iterable[Iterable[str]]) -> list[str]:
    """All names, in the order in which they first occur."""
    return list(dict.fromkeys(name for names in columns for name in names))


def _gathered(
    parts: Sequence[tuple[FloatArray, IntArray]],
    cells: int,
    gather: Callable[[FloatArray, IntArray, FloatArray], None],
) -> FloatArray:
    """Gather rows by cell; shape [cells, ...].

    Raises:
        ValueError: the parts have rows of different shapes.
    """
    values = np.concatenate([part for part, _ in parts])
    out = np.zeros((cells, *values.shape[1:]))
    rows = np.concatenate([rows for _, rows in parts])
    gather(values.reshape(len(values), -1), rows, out.reshape(cells, -1))
    return out


def _added(name: str, parts: Sequence[Part]) -> SparseColumn:
    """Add the pairs of a statistic up, as sums by cell and key in one."""
    found = [(table.sparse[name], rows) for table, rows in parts if name in table.sparse]
    columns = [column for column, _ in found]
    bounds = np.cumsum([0, *(len(column.keys) for column in columns)])
    pairs = np.concatenate([column.keys for column in columns])
    amounts = np.concatenate([column.sums for column in columns])
    ascending = _compose(
        pairs,
        np.concatenate([column.cells for column in columns]),
        bounds,
        np.concatenate([rows for _, rows in found]),
        np.cumsum([0, *(len(rows) for _, rows in found)]),
    )
    if not ascending:
        order = np.lexsort((pairs, np.repeat(np.arange(len(columns)), np.diff(bounds))))
        pairs, amounts = pairs[order], amounts[order]
    sums = total(pairs, amounts, bounds)
    keys = (sums.at & ((1 << _KEY_BITS) - 1)) - _KEY_ZERO
    return SparseColumn(sums.at >> _KEY_BITS, keys, sums.amounts)


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
    whole = kind.from_bytes(found[0])
    for data in found[1:]:
        whole.merge(kind.from_bytes(data))  # type: ignore[arg-type]  # both are of one kind
    return whole.to_bytes()
