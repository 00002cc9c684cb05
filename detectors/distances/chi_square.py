"""The two-sample chi-square test of homogeneity."""

import math

from numpy.typing import ArrayLike
from scipy.special import chdtrc

from detectors.distances.base import Distance, measured, paired_counts


def chi_square(reference: ArrayLike, current: ArrayLike) -> Distance:
    r"""Test whether two histograms come from one distribution.

    $$\chi^2 = \sum_b \frac{\left(\sqrt{m/n}\, r_b - \sqrt{n/m}\, c_b\right)^2}{r_b + c_b}$$

    is Pearson's statistic of the $2 \times B$ table, with one degree of freedom less than bins in
    use; bins empty in both histograms are left out. No continuity correction is made. With fewer
    than about five items expected per bin the p-value is rough. The statistic grows with the sample
    size: as an effect size use another distance.

    Args:
        reference: Counts per bin or category, shape `(b,)`.
        current: Counts over the same bins, shape `(b,)`.

    Returns:
        The statistic, at least 0, and its p-value.

    Raises:
        ValueError: As `paired_counts`.

    Example:
        >>> distance = chi_square([50, 30, 20], [40, 30, 30])
        >>> round(distance.value, 4), round(distance.p_value, 4)
        (3.1111, 0.2111)

    References:
        Pearson, K. (1911). On the probability that two independent distributions of frequency are
        really samples from the same population. Biometrika 8, 250-254.
    """
    p_counts, q_counts = paired_counts(reference, current)
    ratio = math.sqrt(float(q_counts.sum() / p_counts.sum()))
    both = p_counts + q_counts
    used = both > 0.0
    gaps = (ratio * p_counts - q_counts / ratio)[used]
    value = float((gaps * gaps / both[used]).sum())
    freedom = int(used.sum()) - 1
    p_value = float(chdtrc(freedom, value)) if freedom else 1.0
    return measured(value, p_value, p_counts, q_counts)
