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
        self._table: NDArray[np.int32] | None = None
        if len(self.edges) >= 2:
            self._build_table()

    def __len__(self) -> int:
        """Count the bins."""
        return len(self.edges) + 1

    def _build_table(self) -> None:
        low, high = self.edges[0], self.edges[-1]
        with np.errstate(over="ignore"):
            scale = _CELLS / (high - low)
        if not np.isfinite(scale) or scale <= 0:
            return
        # The cell of an edge is computed by the very expression that a number's cell is, which is
        # monotone in the number, so an edge above a number is never in a lower cell.
        cells = np.minimum(((self.edges - low) * scale).astype(np.int64), _CELLS - 1)
        per_cell = np.bincount(cells, minlength=_CELLS)
        crowded = per_cell > _MOST_STEPS
        self._steps = int(per_cell[~crowded].max())
        self._crowded = crowded if crowded.any() else None
        self._table = np.concatenate(([0], np.cumsum(per_cell)[:-1])).astype(np.int32)
        self._low, self._scale = low, scale
        self._padded = np.append(self.edges, np.nan)  # no number is beyond it, not even infinity

    def assign(self, values: FloatArray) -> IntArray:
        """Bin index of each value, shape as given; values must not be NaN."""
        if self._table is None:
            return np.searchsorted(self.edges, values, side="right")
        with np.errstate(invalid="ignore", over="ignore"):
            position = np.clip((values - self._low) * self._scale, 0, _CELLS - 1)
        cell = position.astype(np.int64)
        code: IntArray = self._table[cell].astype(np.int64)
        for _ in range(self._steps):
            code += values >= self._padded[code]
        if self._crowded is not None:
            among = self._crowded[cell]
            code[among] = np.searchsorted(self.edges, values[among], side="right")
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
