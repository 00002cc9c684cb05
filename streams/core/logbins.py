"""Logarithmic buckets: quantiles within one percent, from counts that merge exactly.

The buckets of DDSketch (Masson, Rim and Lee 2019, "DDSketch: a fast and fully-mergeable quantile
sketch with relative-error guarantees", VLDB): values of one sign fall into buckets whose bounds
grow by a constant factor. Here the buckets are fixed and numbered in ascending order of value, so
that a histogram is nothing but sums by key.
"""

from collections.abc import Mapping, Sequence

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
    """
    magnitude = np.abs(values)
    clipped = np.clip(magnitude, _SMALLEST, _LARGEST)
    keys = np.ceil(np.log(clipped) / _LOG_GAMMA).astype(np.int64) + _SHIFT
    keys[magnitude < _SMALLEST] = 0
    signed: IntArray = np.where(values < 0, -keys, keys)
    return signed


def log_values(keys: IntArray) -> FloatArray:
    """Middle of each bucket: within one percent of every value in it."""
    magnitude = 2.0 * np.power(_GAMMA, np.abs(keys) - _SHIFT) / (_GAMMA + 1.0)
    return np.where(keys == 0, 0.0, np.sign(keys) * magnitude)


def log_quantiles(counts: Mapping[int, float], quantiles: Sequence[float]) -> list[float] | None:
    """Quantiles (inverted distribution function) of counts by key; None when nothing is counted.

    Counts at or below zero, which taken-back rows may leave, are passed over.

    >>> keys, n = np.unique(log_keys(np.arange(1.0, 101.0)), return_counts=True)
    >>> median = log_quantiles(dict(zip(keys.tolist(), n.tolist())), [0.5])
    >>> abs(median[0] - 50.0) <= 0.5
    True
    """
    kept = sorted((key, count) for key, count in counts.items() if count > 0)
    if not kept:
        return None
    cumulative = np.cumsum([count for _, count in kept])
    # A rank that is whole up to rounding must not slip into the next bucket.
    ranks = np.asarray(quantiles) * cumulative[-1]
    index = np.searchsorted(cumulative, ranks * (1 - 1e-12), side="left")
    keys = np.array([key for key, _ in kept], dtype=np.int64)
    return [float(v) for v in log_values(keys[np.minimum(index, len(kept) - 1)])]
