"""The population stability index."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, chdtri

from detectors.distances.base import Counts, Distance, measured, paired_counts

SMOOTHING = 0.5
"""Pseudo-count added to every bin of a histogram pair that has an empty bin."""


def psi(reference: ArrayLike, current: ArrayLike) -> Distance:
    r"""Measure how far shares moved between bins, weighted by the log of their ratio.

    $$\mathrm{PSI} = \sum_b (q_b - p_b) \ln \frac{q_b}{p_b}$$

    An empty bin would make the sum infinite. If any bin of either histogram is empty, one half is
    added to every bin of both (Jeffreys' prior for a multinomial): its effect vanishes with the
    sample size, as it should, while a fixed tiny share such as $10^{-4}$ makes the value depend on
    an arbitrary constant however much data there is. Bins empty in both histograms are left out
    before that.

    The p-value uses that without change $\mathrm{PSI} / (1/n + 1/m)$ is nearly $\chi^2$ with
    $B - 1$ degrees of freedom; with fewer than about five items expected per bin it is rough.

    Args:
        reference: Counts per bin, shape `(b,)`.
        current: Counts over the same bins, shape `(b,)`.

    Returns:
        The index, at least 0.

    Raises:
        ValueError: As `paired_counts`.

    Example:
        >>> distance = psi([500, 300, 200], [400, 300, 300])
        >>> round(distance.value, 4), f"{distance.p_value:.1e}"
        (0.0629, '1.5e-07')

    References:
        Yurdakul, B. and Naranjo, J. (2020). Statistical properties of the population stability
        index. Journal of Risk Model Validation 14(4).
    """
    p_counts, q_counts = paired_counts(reference, current)
    terms = _terms(p_counts, q_counts)
    value = float(terms.sum())
    bins = int(np.count_nonzero(p_counts + q_counts))
    scale = 1.0 / p_counts.sum() + 1.0 / q_counts.sum()
    p_value = float(chdtrc(bins - 1, value / scale)) if bins > 1 else 1.0
    return measured(value, p_value, p_counts, q_counts)


def contributions(reference: ArrayLike, current: ArrayLike) -> NDArray[np.float64]:
    """Return which share of the index each bin contributes: the evidence behind an alarm.

    Args:
        reference: Counts per bin, shape `(b,)`.
        current: Counts over the same bins, shape `(b,)`.

    Returns:
        Shares, shape `(b,)`, at least 0 with sum 1; all 0 if the histograms agree.

    Raises:
        ValueError: As `paired_counts`.

    Example:
        >>> contributions([500, 300, 200], [400, 300, 300]).round(3)
        array([0.355, 0.   , 0.645])
    """
    terms = _terms(*paired_counts(reference, current))
    total = terms.sum()
    return terms / total if total > 0.0 else np.zeros_like(terms)


def psi_null_quantile(q: float, bins: int, n: float, m: float) -> float:
    r"""Return the value that the index exceeds with probability $1 - q$ when nothing changed.

    $$\chi^2_{q,\, B-1} \left(\frac{1}{n} + \frac{1}{m}\right)$$

    Args:
        q: Probability in (0, 1), such as 0.999.
        bins: Bins $B$, at least 2.
        n: Items in the reference histogram.
        m: Items in the current histogram.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> round(psi_null_quantile(0.999, bins=10, n=100_000, m=500), 4)
        0.056

    References:
        Yurdakul, B. and Naranjo, J. (2020), as for `psi`.
    """
    if not 0.0 < q < 1.0:
        raise ValueError(f"q must be in (0, 1), got {q!r}")
    if bins < 2:
        raise ValueError(f"bins must be at least 2, got {bins!r}")
    if n <= 0 or m <= 0:
        raise ValueError(f"n and m must be positive, got {n!r} and {m!r}")
    return float(chdtri(bins - 1, 1.0 - q)) * (1.0 / n + 1.0 / m)


def _terms(p_counts: Counts, q_counts: Counts) -> Counts:
    """Return the summand of each bin; 0 where both histograms are empty."""
    used = (p_counts + q_counts) > 0.0
    p, q = p_counts[used], q_counts[used]
    if not (p.all() and q.all()):
        p, q = p + SMOOTHING, q + SMOOTHING
    p, q = p / p.sum(), q / q.sum()
    terms = np.zeros_like(p_counts)
    terms[used] = (q - p) * np.log(q / p)
    return terms
