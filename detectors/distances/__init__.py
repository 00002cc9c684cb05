"""Distances between a reference histogram and a current one over the same bins.

Every function takes counts and returns a `Distance`: the value, a p-value where a test belongs to
it, and the two sample sizes. Report both: with many items the p-value finds changes too small to
matter, with few items the value alone is noise.

Example:
    >>> psi([500, 300, 200], [480, 310, 210]).p_value > 0.05
    True
"""

from detectors.distances.base import Distance
from detectors.distances.batch import BATCHED, compute_many
from detectors.distances.chi_square import chi_square
from detectors.distances.hellinger import hellinger
from detectors.distances.jensen_shannon import jensen_shannon
from detectors.distances.kolmogorov_smirnov import kolmogorov_smirnov
from detectors.distances.psi import contributions, psi, psi_null_quantile
from detectors.distances.registry import NAMES, compute
from detectors.distances.wasserstein import wasserstein

__all__ = [
    "BATCHED",
    "NAMES",
    "Distance",
    "chi_square",
    "compute",
    "compute_many",
    "contributions",
    "hellinger",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "psi",
    "psi_null_quantile",
    "wasserstein",
]
