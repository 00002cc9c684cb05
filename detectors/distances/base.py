"""What every distance between two histograms takes and returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the current histogram is from the reference.

    Attributes:
        value: The distance, in the units of its function.
        p_value: Probability of a value at least this large when both samples come from one
            distribution; None where the function offers no test.
        n_reference: Items in the reference histogram.
        n_current: Items in the current histogram.
    """

    value: float
    p_value: float | None
    n_reference: int
    n_current: int


def paired_counts(reference: ArrayLike, current: ArrayLike) -> tuple[Counts, Counts]:
    """Return two histograms over the same bins as float64 counts.

    Args:
        reference: Counts per bin, shape `(b,)` with `b >= 1`.
        current: Counts over the same bins, shape `(b,)`.

    Raises:
        ValueError: If the shapes differ, a count is negative or not finite, or a histogram is
            empty; the message names which.

    Example:
        >>> paired_counts([1, 2], [3, 0])
        (array([1., 2.]), array([3., 0.]))
        >>> paired_counts([1, 2], [0, 0])
        Traceback (most recent call last):
        ...
        ValueError: the current histogram is empty
    """
    columns: list[Counts] = []
    for name, counts in (("reference", reference), ("current", current)):
        column = np.asarray(counts, dtype=np.float64)
        if column.ndim != 1 or not column.size:
            raise ValueError(f"the {name} counts must have shape (bins,), got {column.shape}")
        bad = ~(np.isfinite(column) & (column >= 0.0))
        if bad.any():
            index = int(np.argmax(bad))
            raise ValueError(f"the {name} count of bin {index} is {column[index]}")
        if not column.any():
            raise ValueError(f"the {name} histogram is empty")
        columns.append(column)
    if columns[0].size != columns[1].size:
        raise ValueError(
            f"the reference has {columns[0].size} bins and the current histogram {columns[1].size}"
        )
    return columns[0], columns[1]


def measured(value: float, p_value: float | None, reference: Counts, current: Counts) -> Distance:
    """Bundle a value with the sizes of the two histograms it compares.

    Args:
        value: The distance.
        p_value: Its p-value, if any.
        reference: Counts per bin, shape `(b,)`.
        current: Counts per bin, shape `(b,)`.

    Example:
        >>> measured(0.5, None, np.array([2.0, 2.0]), np.array([3.0, 0.0]))
        Distance(value=0.5, p_value=None, n_reference=4, n_current=3)
    """
    return Distance(
        value=float(value),
        p_value=None if p_value is None else float(p_value),
        n_reference=round(float(reference.sum())),
        n_current=round(float(current.sum())),
    )
