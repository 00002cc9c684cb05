"""Quantiles of a stream in fixed space."""

from collections.abc import Sequence
from typing import Self

from datasketches import kll_doubles_sketch
from numpy.typing import ArrayLike

from detectors.base import finite_column
from detectors.sketches.wire import ByteSketch


class KLL(ByteSketch):
    """The KLL sketch: quantiles whose *rank* is right to within a stated error.

    With the default `k` a rank is right to about 0.2 % of the items (99 % of the time), whatever
    the distribution, in about 18 kB. The sketch is randomised: two sketches of the same items are
    equally good but not equal. Where results must repeat bit for bit use `log_keys`.

    Args:
        k: Size; the error falls in proportion to it.

    Raises:
        ValueError: If `k` is outside 8 to 65535.

    Example:
        >>> sketch = KLL()
        >>> sketch.update_many(range(101))
        >>> sketch.n, sketch.quantiles([0.0, 0.5, 1.0])
        (101, [0.0, 50.0, 100.0])

    References:
        Karnin, Z., Lang, K. and Liberty, E. (2016). Optimal quantile approximation in streams. FOCS
        2016, 71-78.
    """

    def __init__(self, k: int = 800) -> None:
        self._sketch = kll_doubles_sketch(k)

    @property
    def n(self) -> int:
        """Items seen."""
        return int(self._sketch.n)

    @property
    def rank_error(self) -> float:
        """Error of a rank, as a share of the items, that is kept with 99 % probability."""
        return float(self._sketch.normalized_rank_error(as_pmf=False))

    def update_many(self, values: ArrayLike) -> None:
        """Take a column.

        Args:
            values: Finite numbers, shape `(n,)`.

        Raises:
            ValueError: Naming the first index whose value is not finite.
        """
        self._sketch.update(finite_column(values))

    def merge(self, other: Self) -> None:
        """Take in another sketch, which is left as it is."""
        self._sketch.merge(other._sketch)

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Return the values below or at which the given shares of the items lie.

        Args:
            shares: Numbers in [0, 1].

        Raises:
            ValueError: If the sketch is empty or a share is outside [0, 1].
        """
        self._require_items()
        values: list[float] = self._sketch.get_quantiles(list(shares), inclusive=True)
        return values

    def cdf(self, points: Sequence[float]) -> list[float]:
        """Return the shares of items at or below the given values.

        Args:
            points: Strictly ascending numbers.

        Raises:
            ValueError: If the sketch is empty or the points do not ascend.
        """
        self._require_items()
        shares: list[float] = self._sketch.get_cdf(list(points), inclusive=True)
        return shares[:-1]

    def to_bytes(self) -> bytes:
        """Return the sketch in the format that all DataSketches libraries read."""
        return bytes(self._sketch.serialize())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Make the sketch that `to_bytes` described.

        Raises:
            ValueError: If the bytes are not such a sketch.
        """
        sketch = cls()
        try:
            sketch._sketch = kll_doubles_sketch.deserialize(data)
        except (IndexError, RuntimeError, ValueError) as error:
            raise ValueError(f"not a KLL sketch: {error}") from error
        return sketch

    def _require_items(self) -> None:
        if self._sketch.is_empty():
            raise ValueError("an empty sketch has no quantiles")
