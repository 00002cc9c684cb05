"""Fixed bins: which bin a number falls into, by the reference's own edges.

Bins never move while a reference is in force, so counts merge exactly and a distance between two
windows compares like with like.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SCORE_BINS = 256
"""Bins that a reference profile gives its scores."""

_CELLS_PER_EDGE = 8
_MOST_CELLS = 4096


@kernel
def cell_of(value: float, low: float, scale: float, cells: int) -> int:
    """Cell of a number among equal ones from ``low`` on; never descends as the number grows.

    Infinity times a scale of 0 is no number; any cell will do where all edges are in one.
    """
    position = (value - low) * scale
    if not position > 0.0:
        return 0
    if position >= cells:
        return cells - 1
    return int(position)


@kernel
def edges_up_to(value: float, edges: FloatArray, first: int, last: int) -> int:
    """Where the edges up to a number end: ``first`` if none of ``edges[first:last]`` is one."""
    while first < last:
        middle = (first + last) >> 1
        if value >= edges[middle]:
            first = middle + 1
        else:
            last = middle
    return first


@kernel
def _assign(
    values: FloatArray,
    low: float,
    scale: float,
    table: IntArray,
    edges: FloatArray,
    codes: IntArray,
) -> None:
    for i in range(len(values)):
        cell = cell_of(values[i], low, scale, len(table) - 1)
        codes[i] = edges_up_to(values[i], edges, table[cell], table[cell + 1])


class Bins:
    """Half-open bins ``[edge[i-1], edge[i])`` over the whole line.

    ``len(edges) + 1`` bins: the first is open below, the last above. A table of equal cells leaves
    a number few edges to be compared with. The same answer as
    ``numpy.searchsorted(edges, x, side="right")``, several times faster.

    >>> Bins([0.0, 1.0]).assign(np.array([-1.0, 0.0, 0.5, 1.0, 7.0])).tolist()
    [0, 1, 1, 2, 2]

    Args:
        edges: interior edges, strictly ascending and finite; may be empty (one bin).

    Attributes:
        edges: the edges.
        low, scale: a number's cell is (number - low) * scale, within bounds.
        table: per cell how many edges lie in cells before it; one more entry for all of them.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges: FloatArray = np.array(edges, dtype=np.float64)
        if self.edges.ndim != 1 or not np.isfinite(self.edges).all():
            raise ValueError("bin edges must be finite numbers")
        if (np.diff(self.edges) <= 0).any():
            raise ValueError("bin edges must be strictly ascending")
        count = min(max(1, _CELLS_PER_EDGE * len(self.edges)), _MOST_CELLS)
        self.low, self.scale = 0.0, 0.0
        if len(self.edges):
            self.low = float(self.edges[0])
            with np.errstate(over="ignore", divide="ignore"):
                scale = float(count / (self.edges[-1] - self.edges[0]))
            # Edges too close or too far apart for that all share cell 0.
            self.scale = scale if np.isfinite(scale) else 0.0
        # An edge's cell is found as a number's is, so an edge above a number is in no lower cell.
        cells = [cell_of(edge, self.low, self.scale, count) for edge in self.edges.tolist()]
        per_cell = np.bincount(np.array(cells, dtype=np.int64), minlength=count)
        self.table: IntArray = np.concatenate(([0], np.cumsum(per_cell)))

    def __len__(self) -> int:
        """Count the bins."""
        return len(self.edges) + 1

    def assign(self, values: FloatArray) -> IntArray:
        """Bin index of each value, shape as given; values must not be NaN."""
        codes = np.empty(values.shape, dtype=np.int64)
        flat = np.array(values, dtype=np.float64).ravel()
        _assign(flat, self.low, self.scale, self.table, self.edges, codes.ravel())
        return codes


class BinGrid:
    """Bins of several columns side by side, as kernels use them.

    Bins are numbered through all columns that have some, in order.

    >>> grid = BinGrid([Bins([0.0]), None, Bins([1.0, 2.0])])
    >>> grid.size, grid.first.tolist()
    (5, [0, -1, 2])

    Args:
        columns: bins of each column; None for columns without.

    Attributes:
        size: bins of all columns together.
        first: number of each column's first bin; -1 for columns without.
        low, scale: as those of :class:`Bins`, per column.
        table: the tables of all columns; entries are positions in ``edges``.
        table_at: where each column's table begins; one more entry for the end.
        edges: the edges of all columns.
    """

    def __init__(self, columns: Sequence[Bins | None]) -> None:
        none = Bins([])
        held = [bins or none for bins in columns]
        widths = [0 if bins is None else len(bins) for bins in columns]
        self.size = sum(widths)
        starts = np.cumsum([0, *widths])[:-1]
        self.first: IntArray = np.where(np.array(widths, dtype=np.int64) > 0, starts, -1)
        self.low: FloatArray = np.array([bins.low for bins in held], dtype=np.float64)
        self.scale: FloatArray = np.array([bins.scale for bins in held], dtype=np.float64)
        edges_at = np.cumsum([0, *(len(bins.edges) for bins in held)])
        tables = [bins.table + at for bins, at in zip(held, edges_at, strict=False)]
        self.table: IntArray = np.concatenate([np.zeros(0, dtype=np.int64), *tables])
        self.table_at: IntArray = np.cumsum([0, *map(len, tables)])
        self.edges: FloatArray = np.concatenate([np.zeros(0), *(bins.edges for bins in held)])


def probability_bins() -> Bins:
    """Bins of probabilities: equal steps of 1/200, and finer and finer ones towards 0 and 1.

    Used for scores until a reference profile gives the scores' own quantiles. A model of rare
    events has nearly all its scores near 0, where equal steps would not tell them apart.
    """
    step = 1.0 / 200
    tail = np.geomspace(1e-6, step, 29)[:-1]
    middle = np.arange(1, 200) / 200
    return Bins(np.concatenate([tail, middle, 1.0 - tail[::-1]]).tolist())
