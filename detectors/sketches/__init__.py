"""Summaries of a column that merge: what a window keeps instead of its items.

`Moments` and the logarithmic buckets of `log_keys` are deterministic and merge exactly; `KLL`,
`HyperLogLog` and `FrequentItems` wrap Apache DataSketches and travel in its portable format.

Example:
    >>> moments = Moments.of([1.0, 2.0]).merge(Moments.of([3.0]))
    >>> moments.mean
    2.0
"""

from detectors.sketches.frequent_items import FrequentItem, FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from detectors.sketches.kll import KLL
from detectors.sketches.log_buckets import log_keys, log_quantiles, log_values
from detectors.sketches.moments import Moments

__all__ = [
    "KLL",
    "FrequentItem",
    "FrequentItems",
    "HyperLogLog",
    "Moments",
    "log_keys",
    "log_quantiles",
    "log_values",
]
