"""Logarithmic buckets: quantiles within one percent, from counts that merge exactly.

The buckets of DDSketch (Masson, Rim and Lee 2019, "DDSketch: a fast and fully-mergeable quantile
sketch with relative-error guarantees", VLDB): values of one sign fall into buckets whose bounds
grow by a constant factor. Here the buckets are fixed and numbered in ascending order of value, so
that a histogram is nothing but sums by key.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RELATIVE_ERROR = 0.01
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = float(np.log(_GAMMA))
_SMALLEST = 1e-12
_LARGEST = 1e15
_SHIFT = 2000


def log_keys(values: FloatArray) -> IntArray:
    """Bucket of each value; ascending with the value, 0 for everything within +-1e-12.

    Magnitudes above 1e15 share the outermost bucket. Values must not be NaN.

    Example:
        >>> log_keys(np.array([-2.0, 0.0, 2.0, 2.01, 3.0])).tolist()
        [-2035, 0, 2035, 2035, 2055]
    """
    magnitude = np.abs(values)
    clipped = np.clip(magnitude, _SMALLEST, _LARGEST)
    keys = np.ceil(np.log(clipped) / _LOG_GAMMA).astype(np.int64) + _SHIFT
    keys[magnitude < _SMALLEST] = 0
    signed: IntArray = np.where(values < 0, -keys, keys)
    return signed


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
