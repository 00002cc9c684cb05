"""The Kolmogorov-Smirnov distance of binned samples."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import kolmogorov

from detectors.distances.base import Distance, measured, paired_counts


def kolmogorov_smirnov(reference: ArrayLike, current: ArrayLike) -> Distance:
    r"""Measure the largest gap between the two cumulated shares, at the edges of the bins.

    $$D = \max_b |F_b - G_b|$$

    The bins must be in the order of their values. Binning can only lower $D$, by less than the
    largest share of one bin, so the test errs on the side of silence. The p-value is the asymptotic
    two-sample one, $Q(D \sqrt{nm / (n + m)})$ with Kolmogorov's distribution.

    Args:
        reference: Counts per bin, shape `(b,)`.
        current: Counts over the same bins, shape `(b,)`.

    Returns:
        The distance, between 0 and 1.

    Raises:
        ValueError: As `paired_counts`.

    Example:
        >>> distance = kolmogorov_smirnov([50, 30, 20], [40, 30, 30])
        >>> round(distance.value, 4), round(distance.p_value, 4)
        (0.1, 0.6994)

    References:
        Massey, F. (1951). The Kolmogorov-Smirnov test for goodness of fit. Journal of the American
        Statistical Association 46, 68-78.
    """
    p_counts, q_counts = paired_counts(reference, current)
    n, m = float(p_counts.sum()), float(q_counts.sum())
    gap = float(np.abs(np.cumsum(p_counts) / n - np.cumsum(q_counts) / m).max())
    return measured(gap, float(kolmogorov(gap * math.sqrt(n * m / (n + m)))), p_counts, q_counts)
