"""Quantiles with a bounded relative error that merge exactly and can be taken back."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.base import finite_column, require_count, require_range

_TINY = float(np.finfo(np.float64).tiny)
_LOG_MAX = math.log(float(np.finfo(np.float64).max))


class LogHistogram:
    r"""Counts in buckets that grow geometrically: DDSketch.

    With $\gamma = (1 + a) / (1 - a)$ a positive value $x$ falls into bucket
    $k = \lceil \log_\gamma x \rceil$ and is reported as $2 \gamma^k / (\gamma + 1)$, which is
    within a share $a$ of it. Negative values mirror this; zero and subnormal numbers have a bucket
    of their own. Unlike sketches that draw at random, the state is a function of the multiset of
    values: any order, any chunking and any tree of merges gives the same histogram to the last bit.
    Weights may be negative, so a value that was later corrected can be taken back.

    At most `max_buckets` buckets are kept: beyond that the lowest ones collapse into the lowest one
    that is kept, and small quantiles lose their accuracy. Values of one sign have to span more than
    17 powers of ten for that with the defaults. Merging stays exact even then; taking back
    does not.

    Args:
        accuracy: Relative accuracy $a$ of a quantile, from 1e-4 to below 1.
        max_buckets: Buckets kept, at least 2.

    Raises:
        ValueError: If a parameter is outside its range.

    Example:
        >>> histogram = LogHistogram()
        >>> histogram.update_many([1.0, 10.0, 100.0])
        >>> histogram.update_many([10.0], weights=[-1])
        >>> histogram.count, round(histogram.quantile(1.0), 1)
        (2, 100.5)

    References:
        Masson, C., Rim, J. and Lee, H. (2019). DDSketch: a fast and fully-mergeable quantile sketch
        with relative-error guarantees. PVLDB 12(12), 2195-2205.
    """

    def __init__(self, accuracy: float = 0.01, max_buckets: int = 2048) -> None:
        self.accuracy = require_range("accuracy", accuracy, 1e-4, 1.0, open_high=True)
        self.max_buckets = require_count("max_buckets", max_buckets, 2)
        self._log_gamma = math.log((1.0 + accuracy) / (1.0 - accuracy))
        # Bucket numbers are shifted so that every positive value has a positive key; a key's sign
        # is its values' sign, key 0 is zero, and ascending keys are ascending values.
        self._shift = 1 - math.ceil(math.log(_TINY) / self._log_gamma)
        self._keys = np.empty(0, dtype=np.int32)
        self._counts = np.empty(0, dtype=np.int64)

    @property
    def count(self) -> int:
        """Weight of all values."""
        return int(self._counts.sum())

    @property
    def buckets(self) -> int:
        """Buckets in use."""
        return int(self._keys.size)

    @property
    def lowest(self) -> float:
        """Lower edge of the lowest bucket: no value is smaller, unless buckets collapsed.

        Raises:
            ValueError: If the histogram is empty.
        """
        return self._edges()[0]

    @property
    def highest(self) -> float:
        """Upper edge of the highest bucket: no value is larger.

        Raises:
            ValueError: If the histogram is empty.
        """
        return self._edges()[1]

    def update_many(self, values: ArrayLike, weights: ArrayLike | None = None) -> None:
        """Take a column.

        Args:
            values: Finite numbers, shape `(n,)`.
            weights: How often each value counts: whole numbers, shape `(n,)`; negative ones take
                values back. Once each if None.

        Raises:
            ValueError: If a value is not finite (naming its index) or the weights do not fit.
        """
        keys = self._keys_of(finite_column(values))
        if weights is None:
            self._add(*np.unique(keys, return_counts=True))
            return
        counts = np.asarray(weights)
        if counts.shape != keys.shape:
            raise ValueError(f"{keys.size} values need as many weights, got shape {counts.shape}")
        if counts.size and not np.issubdtype(counts.dtype, np.integer):
            raise ValueError(f"weights must be whole numbers, got {counts.dtype}")
        self._add(keys, counts.astype(np.int64))

    def merge(self, other: Self) -> None:
        """Add another histogram, which is left as it is.

        Raises:
            ValueError: If its accuracy is another.
        """
        self._require_same(other)
        self._add(other._keys, other._counts)

    def subtract(self, other: Self) -> None:
        """Take back another histogram, such as a part that left a sliding window.

        Raises:
            ValueError: If its accuracy is another.
        """
        self._require_same(other)
        self._add(other._keys, -other._counts)

    def quantile(self, q: float) -> float:
        """Return a value within `accuracy` of the `q` quantile.

        The quantile meant is the value at position `floor(q * (count - 1))` of the sorted values,
        the "lower" one of numpy. A bucket from which more was taken back than it held counts as
        empty.

        Args:
            q: A number in [0, 1].

        Raises:
            ValueError: If the histogram is empty or `q` is outside [0, 1].
        """
        return self.quantiles([q])[0]

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Return several quantiles at once.

        Args:
            shares: Numbers in [0, 1].

        Raises:
            ValueError: If the histogram is empty or a share is outside [0, 1].
        """
        wanted = np.asarray(shares, dtype=np.float64)
        if not ((wanted >= 0.0) & (wanted <= 1.0)).all():
            raise ValueError(f"quantiles must be in [0, 1], got {list(shares)!r}")
        passed = np.cumsum(np.maximum(self._counts, 0))
        if not passed.size or not passed[-1]:
            raise ValueError("an empty histogram has no quantiles")
        ranks = np.floor(wanted * (passed[-1] - 1))
        found = self._keys[np.searchsorted(passed, ranks, side="right")]
        middle = math.log(2.0) - math.log1p(math.exp(self._log_gamma))
        values: list[float] = self._values(found, middle).tolist()
        return values

    def snapshot(self) -> dict[str, Any]:
        """Return the state as numbers and lists."""
        return {
            "accuracy": self.accuracy,
            "max_buckets": self.max_buckets,
            "keys": self._keys.tolist(),
            "counts": self._counts.tolist(),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Make the histogram that `snapshot` described.

        Raises:
            ValueError: If a part is lacking or damaged.
        """
        try:
            histogram = cls(state["accuracy"], state["max_buckets"])
            keys = np.array(state["keys"], dtype=np.int32)
            counts = np.array(state["counts"], dtype=np.int64)
        except KeyError as error:
            raise ValueError(f"log histogram state lacks {error}") from error
        return histogram._take(keys, counts)

    def to_wire(self) -> dict[str, bytes]:
        """Return the state as little-endian arrays: 12 bytes a bucket."""
        return {
            "accuracy": np.array(self.accuracy, dtype="<f8").tobytes(),
            "max_buckets": np.array(self.max_buckets, dtype="<i4").tobytes(),
            "keys": self._keys.astype("<i4").tobytes(),
            "counts": self._counts.astype("<i8").tobytes(),
        }

    @classmethod
    def from_wire(cls, parts: Mapping[str, bytes]) -> Self:
        """Make the histogram that `to_wire` described.

        Raises:
            ValueError: If a part is lacking or damaged.
        """
        types = {"accuracy": "<f8", "max_buckets": "<i4", "keys": "<i4", "counts": "<i8"}
        lacking = types.keys() - parts.keys()
        if lacking:
            raise ValueError(f"log histogram lacks {', '.join(sorted(lacking))}")
        arrays = {name: np.frombuffer(parts[name], dtype=kind) for name, kind in types.items()}
        if arrays["accuracy"].size != 1 or arrays["max_buckets"].size != 1:
            raise ValueError("log histogram needs one accuracy and one max_buckets")
        histogram = cls(float(arrays["accuracy"][0]), int(arrays["max_buckets"][0]))
        return histogram._take(arrays["keys"].astype(np.int32), arrays["counts"].astype(np.int64))

    def _take(self, keys: NDArray[np.int32], counts: NDArray[np.int64]) -> Self:
        if keys.shape != counts.shape or keys.ndim != 1:
            raise ValueError(f"log histogram has {keys.size} keys and {counts.size} counts")
        if (np.diff(keys) <= 0).any():
            raise ValueError("the keys of a log histogram must ascend")
        self._keys, self._counts = keys, counts
        return self

    def _keys_of(self, values: NDArray[np.float64]) -> NDArray[np.int32]:
        sizes = np.abs(values)
        normal = sizes >= _TINY
        steps = np.ceil(np.log(np.where(normal, sizes, 1.0)) / self._log_gamma) + self._shift
        keys: NDArray[np.int32] = np.where(normal, np.copysign(steps, values), 0.0).astype(np.int32)
        return keys

    def _add(self, keys: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
        if not keys.size:
            return
        merged, where = np.unique(np.concatenate((self._keys, keys)), return_inverse=True)
        totals = np.zeros(merged.size, dtype=np.int64)
        np.add.at(totals, where, np.concatenate((self._counts, counts)))
        used = totals != 0
        merged, totals = merged[used], totals[used]
        spare = merged.size - self.max_buckets
        if spare > 0:
            totals[spare] += totals[:spare].sum()
            merged, totals = merged[spare:], totals[spare:]
        self._keys, self._counts = merged, totals

    def _values(self, keys: NDArray[np.int32], offset: float) -> NDArray[np.float64]:
        """Return the values that stand `offset` (a logarithm) from their buckets' outer edges."""
        logs = (np.abs(keys) - self._shift) * self._log_gamma + offset
        sizes = np.exp(np.minimum(logs, _LOG_MAX))
        return np.where(keys == 0, 0.0, np.copysign(sizes, keys))

    def _edges(self) -> tuple[float, float]:
        if not self._keys.size:
            raise ValueError("an empty histogram has no edges")
        ends = self._keys[[0, -1]]
        outer, inner = self._values(ends, 0.0), self._values(ends, -self._log_gamma)
        low = outer[0] if ends[0] < 0 else inner[0]
        high = outer[1] if ends[1] > 0 else inner[1]
        return float(low), float(high)

    def _require_same(self, other: Self) -> None:
        if other.accuracy != self.accuracy:
            raise ValueError(
                f"accuracies differ: {self.accuracy} here, {other.accuracy} in the other histogram"
            )
