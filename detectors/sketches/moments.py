"""Count, mean and variance that can be merged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Moments:
    r"""The first two moments of a column, without the column.

    Kept as count, mean and $M_2 = \sum (x_i - \bar x)^2$, which does not cancel when the mean is
    far larger than the deviation. Immutable: merging gives a new object.

    Attributes:
        n: Items.
        mean: Their mean; 0 if there are none.
        m2: Sum of squared deviations from the mean.

    Example:
        >>> a, b = Moments.of([1.0, 2.0]), Moments.of([6.0])
        >>> a.merge(b)
        Moments(n=3, mean=3.0, m2=14.0)
        >>> a.merge(b).variance
        7.0

    References:
        Chan, T., Golub, G. and LeVeque, R. (1983). Algorithms for computing the sample variance:
        analysis and recommendations. The American Statistician 37, 242-247.
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    @classmethod
    def of(cls, values: ArrayLike, mask: ArrayLike | None = None) -> Self:
        """Summarise a column.

        Args:
            values: Finite numbers, shape `(n,)`; masked ones may be anything.
            mask: Which values to take, booleans of shape `(n,)`; all if None.

        Raises:
            ValueError: If a value taken is not finite.

        Example:
            >>> Moments.of([1.0, float("nan"), 3.0], mask=[True, False, True])
            Moments(n=2, mean=2.0, m2=2.0)
        """
        column = np.asarray(values, dtype=np.float64)
        if mask is not None:
            column = column[np.asarray(mask, dtype=np.bool_)]
        if not column.size:
            return cls()
        if not np.isfinite(column).all():
            raise ValueError("a value is not finite; leave it out by a mask")
        mean = float(column.mean())
        deviations = column - mean
        return cls(int(column.size), mean, float((deviations * deviations).sum()))

    @property
    def variance(self) -> float:
        """Sample variance (divisor `n - 1`); 0 for fewer than two items."""
        return self.m2 / (self.n - 1) if self.n > 1 else 0.0

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both columns together."""
        if not other.n:
            return self
        if not self.n:
            return other
        n = self.n + other.n
        gap = other.mean - self.mean
        return Moments(
            n,
            self.mean + gap * (other.n / n),
            self.m2 + other.m2 + gap * gap * (self.n * (other.n / n)),
        )

    def snapshot(self) -> dict[str, Any]:
        """Return the state as numbers."""
        return {"n": self.n, "mean": self.mean, "m2": self.m2}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Make the object that `snapshot` described.

        Raises:
            ValueError: If a part is lacking.
        """
        try:
            return cls(int(state["n"]), float(state["mean"]), float(state["m2"]))
        except KeyError as error:
            raise ValueError(f"moments state lacks {error}") from error
