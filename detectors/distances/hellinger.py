"""The Hellinger distance."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from detectors.distances.base import Distance, measured, paired_counts


def hellinger(reference: ArrayLike, current: ArrayLike) -> Distance:
    r"""Measure the Euclidean distance between the square roots of the shares.

    $$H = \frac{1}{\sqrt 2} \sqrt{\sum_b \left(\sqrt{p_b} - \sqrt{q_b}\right)^2}$$

    Without change $8 H^2 / (1/n + 1/m)$ is nearly $\chi^2$ with one degree of freedom less than
    bins in use (the Freeman-Tukey statistic), which gives the p-value.

    Args:
        reference: Counts per bin, shape `(b,)`.
        current: Counts over the same bins, shape `(b,)`.

    Returns:
        The distance, 0 for equal shares and 1 for histograms without a common bin.

    Raises:
        ValueError: As `paired_counts`.

    Example:
        >>> round(hellinger([500, 300, 200], [400, 300, 300]).value, 4)
        0.0885

    References:
        Freeman, M. and Tukey, J. (1950). Transformations related to the angular and the square
        root. Annals of Mathematical Statistics 21, 607-611.
    """
    p_counts, q_counts = paired_counts(reference, current)
    gaps = np.sqrt(p_counts / p_counts.sum()) - np.sqrt(q_counts / q_counts.sum())
    squared = min(float((gaps * gaps).sum()) / 2.0, 1.0)
    freedom = int(((p_counts + q_counts) > 0.0).sum()) - 1
    scale = 1.0 / p_counts.sum() + 1.0 / q_counts.sum()
    p_value = float(chdtrc(freedom, 8.0 * squared / scale)) if freedom else 1.0
    return measured(squared**0.5, p_value, p_counts, q_counts)
