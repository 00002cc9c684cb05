"""Logarithmic buckets: quantiles within one percent, from counts that merge exactly.

The buckets of DDSketch (Masson, Rim and Lee 2019, "DDSketch: a fast and fully-mergeable quantile
sketch with relative-error guarantees", VLDB): values of one sign fall into buckets whose bounds
grow by a constant factor. Here the buckets are fixed and numbered in ascending order of value, so
that a histogram is nothing but sums by key.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RELATIVE_ERROR = 0.01
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_SMALLEST = 1e-12
_LARGEST = 1e15
_SHIFT = 2000
_STEP = 46
"""A number's leading bits, all but this many, tell its bucket up to one: they split each power of
two into 64 parts, the widest of which spans 1.6 percent; a bucket spans 2."""

_Tables = tuple[FloatArray, NDArray[np.int16], int]


def _tables() -> _Tables:
    """Make the upper bound of each bucket, and the first bucket by leading bits from some on.

    Bounds are powers of 101/99 rounded once, so no machine's logarithm has a say in them.
    """
    one = 1 << 256
    first = int(np.ceil(np.log(_SMALLEST) / np.log(_GAMMA)))
    last = int(np.ceil(np.log(_LARGEST) / np.log(_GAMMA)))
    upper = np.zeros(_SHIFT + last + 1)
    for direction, end in ((1, last), (-1, first)):
        power = one
        for k in range(0, end + direction, direction):
            upper[_SHIFT + k] = power / one
            power = power * 101 // 99 if direction > 0 else power * 99 // 101
    upper[-1] = np.inf
    lowest, highest = np.array([_SMALLEST, _LARGEST]).view(np.int64) >> _STEP
    starts = (np.arange(lowest, highest + 1) << _STEP).view(np.float64)
    found = np.searchsorted(upper[_SHIFT + first :], starts) + (_SHIFT + first)
    return upper, found.astype(np.int16), int(lowest)


_UPPER, _FIRST, _LOWEST = _tables()


@kernel
def log_key(value: float) -> int:
    """Bucket of one number; for use in other kernels. See :func:`log_keys`.

    Example:
        >>> log_key(-2.0)
        -2035
    """
    magnitude = abs(value)
    if magnitude < _SMALLEST:
        return 0
    magnitude = min(magnitude, _LARGEST)
    key = int(_FIRST[(np.float64(magnitude).view(np.int64) >> _STEP) - _LOWEST])
    if magnitude > _UPPER[key]:
        key += 1
    return -key if value < 0.0 else key


@kernel
def _fill_keys(values: FloatArray, keys: IntArray) -> None:
    for i in range(len(values)):
        keys[i] = log_key(values[i])


def log_keys(values: FloatArray) -> IntArray:
    """Bucket of each value; ascending with the value, 0 for everything within +-1e-12.

    Magnitudes above 1e15 share the outermost bucket. Values must not be NaN.

    Example:
        >>> log_keys(np.array([-2.0, 0.0, 2.0, 2.01, 3.0])).tolist()
        [-2035, 0, 2035, 2035, 2055]
    """
    keys = np.empty(values.shape, dtype=np.int64)
    _fill_keys(np.array(values, dtype=np.float64).ravel(), keys.ravel())
    return keys


def log_values(keys: IntArray) -> FloatArray:
    """Middle of each bucket: within one percent of every value in it.

    Example:
        >>> log_values(np.array([0, 2035])).round(2).tolist()
        [0.0, 1.99]
    """
    magnitude = 2.0 * np.power(_GAMMA, np.abs(keys) - _SHIFT) / (_GAMMA + 1.0)
    return np.where(keys == 0, 0.0, np.sign(keys) * magnitude)


def log_quantiles(keys: IntArray, counts: FloatArray, ranks: Sequence[float]) -> list[float]:
    """Quantiles (inverted distribution function) of values that were counted by bucket.

    Args:
        keys: buckets in ascending order, at least one.
        counts: what was counted in each, above 0.
        ranks: quantiles, 0 to 1.

    Example:
        >>> keys, counts = np.unique(log_keys(np.arange(1.0, 101.0)), return_counts=True)
        >>> median, = log_quantiles(keys, counts.astype(float), [0.5])
        >>> abs(median - 50.0) <= 0.5
        True
    """
    cumulative = np.cumsum(counts)
    # A rank that is whole up to rounding must not slip into the next bucket.
    wanted = np.asarray(ranks) * (cumulative[-1] * (1.0 - 1e-12))
    index = np.minimum(np.searchsorted(cumulative, wanted), len(keys) - 1)
    found: list[float] = log_values(keys[index]).tolist()
    return found
