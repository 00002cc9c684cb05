"""Which cells rows count in: the whole model and each of their segments, by pane."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.core.join.groups import Groups
from streams.core.partials import CellKey

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(slots=True)
class Cells:
    """The cells of some rows.

    Attributes:
        keys: the cells.
        of_rows: (rows, 1 + segments) the cells that each row counts in; column 0 is the whole
            model's.
    """

    keys: list[CellKey]
    of_rows: Ints

    def __len__(self) -> int:
        """Count the cells."""
        return len(self.keys)

    def count(self, weights: Floats | None = None, rows: Ints | None = None) -> Floats:
        """Sum weights (1 each when None) over rows (all when None) by cell; shape (cells,)."""
        return self.spread(rows, weights, lambda c, w: np.bincount(c, w, len(self))).astype(float)

    def count_by(
        self, codes: Ints, width: int, weights: Floats | None = None, rows: Ints | None = None
    ) -> Floats:
        """Sum weights by cell and code; shape (cells, width); one code per chosen row."""
        of = self.of_rows if rows is None else self.of_rows[rows]
        flat = (of * width + codes[:, None]).ravel()
        repeated = None if weights is None else np.repeat(weights, of.shape[1])
        return (
            np.bincount(flat, repeated, len(self) * width)
            .reshape(len(self), width)
            .astype(np.float64)
        )

    def spread(
        self,
        rows: Ints | None,
        values: Floats | None,
        reduce: Callable[[Ints, Floats | None], NDArray[np.generic]],
    ) -> NDArray[np.generic]:
        """Hand (cell, value) pairs, one per row and cell, to a reduction."""
        cells, repeated = self.pairs(rows, values)
        return reduce(cells, repeated)

    def pairs(self, rows: Ints | None, values: Floats | None) -> tuple[Ints, Floats | None]:
        """(cell, value) pairs, one per chosen row and cell."""
        of = self.of_rows if rows is None else self.of_rows[rows]
        return of.ravel(), None if values is None else np.repeat(values, of.shape[1])

    def moments(self, values: Floats, weights: Floats | None, rows: Ints | None) -> Floats:
        """(weight, mean, squared deviations) by cell; shape (cells, 3)."""
        cells, spread = self.pairs(rows, values)
        assert spread is not None  # noqa: S101 - values were given
        repeated = (
            np.ones(len(spread)) if weights is None else np.repeat(weights, self.of_rows.shape[1])
        )
        return grouped_moments(cells, spread, repeated, len(self))


def grouped_moments(cells: Ints, values: Floats, weights: Floats, count: int) -> Floats:
    """(weight, mean, squared deviations) by cell; deviations are taken about the cell's mean."""
    weight = np.bincount(cells, weights, count)
    safe = np.where(weight == 0.0, 1.0, weight)
    mean = np.where(weight == 0.0, 0.0, np.bincount(cells, weights * values, count) / safe)
    deviation = values - mean[cells]
    squares = np.bincount(cells, weights * deviation * deviation, count)
    return np.stack([weight, mean, squares], axis=1)


def cells_of(view: str, groups: Groups, group: NDArray[np.int32], panes: Ints) -> Cells:
    """Find the cells of rows from their groups and the starts of their panes."""
    base = int(panes.min())
    span = int(panes.max()) - base + 1
    combined = group.astype(np.int64) * span + (panes - base)
    unique, inverse = np.unique(combined, return_inverse=True)
    index: dict[CellKey, int] = {}
    table = []
    for number, pane in zip((unique // span).tolist(), (unique % span).tolist(), strict=True):
        table.append(
            [
                index.setdefault(CellKey(view, version, segment, pane + base), len(index))
                for version, segment in groups.cells(number)
            ]
        )
    return Cells(list(index), np.array(table, dtype=np.int64)[inverse])
