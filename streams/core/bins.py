"""Fixed bins: which bin a number falls into, by the reference's own edges.

Bins never move while a reference is in force, so counts merge exactly and a distance between two
windows compares like with like.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SCORE_BINS = 256
"""Bins that a reference profile gives its scores."""

_CELLS = 4096
_MOST_STEPS = 2


class Bins:
    """Half-open bins ``[edge[i-1], edge[i])`` over the whole line.

    ``len(edges) + 1`` bins: the first is open below, the last above. A table of 4096 equal cells
    gives a number's first possible bin, and as many comparisons as the cell has edges, two at most,
    give the exact one; cells with more edges are searched. The same answer as
    ``numpy.searchsorted(edges, x, side="right")``, several times faster.

    >>> Bins([0.0, 1.0]).assign(np.array([-1.0, 0.0, 0.5, 1.0, 7.0])).tolist()
    [0, 1, 1, 2, 2]

    Args:
        edges: interior edges, strictly ascending and finite; may be empty (one bin).
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges: FloatArray = np.asarray(edges, dtype=np.float64)
        if self.edges.ndim != 1 or not np.isfinite(self.edges).all():
            raise ValueError("bin edges must be finite numbers")
        if (np.diff(self.edges) <= 0).any():
            raise ValueError("bin edges must be strictly ascending")
        self._build_table()

    def __len__(self) -> int:
        """Count the bins."""
        return len(self.edges) + 1

    def _build_table(self) -> None:
        """Prepare the cells.

        Attributes that are set:
            low, scale: a number's cell is (number - low) * scale, within bounds.
            table: first possible bin by cell.
            steps: comparisons that find the bin from there.
            crowded: cells with more edges than that, which are searched; None when there are none.
        """
        self.low, self.scale = 0.0, 0.0
        if len(self.edges):
            self.low = float(self.edges[0])
            with np.errstate(over="ignore", divide="ignore"):
                scale = float(_CELLS / (self.edges[-1] - self.edges[0]))
            # Edges too close or too far apart for that all share cell 0.
            self.scale = scale if np.isfinite(scale) else 0.0
        # The cell of an edge is computed by the very expression that a number's cell is, which is
        # monotone in the number, so an edge above a number is never in a lower cell.
        cells = np.minimum(((self.edges - self.low) * self.scale).astype(np.int64), _CELLS - 1)
        per_cell = np.bincount(cells, minlength=_CELLS)
        crowded = per_cell > _MOST_STEPS
        self.steps = int(per_cell[~crowded].max())
        self.crowded = crowded if crowded.any() else None
        self.table: IntArray = np.concatenate(([0], np.cumsum(per_cell)[:-1]))
        self._padded = np.append(self.edges, np.nan)  # no number is beyond it, not even infinity

    def assign(self, values: FloatArray) -> IntArray:
        """Bin index of each value, shape as given; values must not be NaN."""
        with np.errstate(invalid="ignore", over="ignore"):
            position = np.clip((values - self.low) * self.scale, 0, _CELLS - 1)
        cell = np.nan_to_num(position).astype(np.int64)
        code: IntArray = self.table[cell]
        for _ in range(self.steps):
            code += values >= self._padded[code]
        if self.crowded is not None:
            among = self.crowded[cell]
            code[among] = np.searchsorted(self.edges, values[among], side="right")
        return code


class BinGrid:
    """Bins of several columns, assigned together: few array calls, however small a tick is.

    Bins are numbered through all columns that have some, in order.

    >>> grid = BinGrid([Bins([0.0]), None, Bins([1.0, 2.0])])
    >>> grid.assign(np.array([[5.0, 7.0, 1.5], [-1.0, 7.0, 9.0]])).tolist()
    [[1, 3], [0, 4]]

    Args:
        columns: bins of each column; None for columns without.

    Attributes:
        columns: indices of the columns that have bins.
        size: bins of all columns together.
    """

    def __init__(self, columns: Sequence[Bins | None]) -> None:
        self.columns = np.array([i for i, bins in enumerate(columns) if bins], dtype=np.int64)
        self._bins = [bins for bins in columns if bins]
        starts = np.cumsum([0, *map(len, self._bins)])
        self._starts, self.size = starts[:-1], int(starts[-1])
        self._low = np.array([bins.low for bins in self._bins])
        self._scale = np.array([bins.scale for bins in self._bins])
        tables = [bins.table + start for bins, start in zip(self._bins, starts, strict=False)]
        self._table = np.concatenate(tables) if tables else np.zeros(0, dtype=np.int64)
        self._first_cell = np.arange(len(self._bins)) * _CELLS
        padded = [np.append(bins.edges, np.nan) for bins in self._bins]
        self._padded = np.concatenate(padded) if padded else np.zeros(0)
        self._steps = max((bins.steps for bins in self._bins), default=0)
        self._crowded = [i for i, bins in enumerate(self._bins) if bins.crowded is not None]

    def assign(self, matrix: FloatArray) -> IntArray:
        """Bin number of each value of the columns that have bins; shape (rows, those columns).

        Args:
            matrix: (rows, all columns); not NaN.
        """
        values = matrix if len(self.columns) == matrix.shape[1] else matrix[:, self.columns]
        with np.errstate(invalid="ignore", over="ignore"):
            position = np.clip((values - self._low) * self._scale, 0, _CELLS - 1)
        # Infinity times a scale of 0 is no number; any cell will do where all edges are in one.
        cell = np.nan_to_num(position).astype(np.int64)
        code: IntArray = self._table[cell + self._first_cell]
        for _ in range(self._steps):
            code += values >= self._padded[code]
        for i in self._crowded:
            bins = self._bins[i]
            among = np.flatnonzero(bins.crowded[cell[:, i]])  # type: ignore[index]  # chosen so
            if len(among):
                found = np.searchsorted(bins.edges, values[among, i], side="right")
                code[among, i] = found + self._starts[i]
        return code


def probability_bins() -> Bins:
    """Bins of probabilities: equal steps of 1/200, and finer and finer ones towards 0 and 1.

    Used for scores until a reference profile gives the scores' own quantiles. A model of rare
    events has nearly all its scores near 0, where equal steps would not tell them apart.
    """
    step = 1.0 / 200
    tail = np.geomspace(1e-6, step, 29)[:-1]
    middle = np.arange(1, 200) / 200
    return Bins(np.concatenate([tail, middle, 1.0 - tail[::-1]]).tolist())
