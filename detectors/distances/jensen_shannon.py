"""The Jensen-Shannon distance."""

import math

from numpy.typing import ArrayLike
from scipy.special import chdtrc, rel_entr

from detectors.distances.base import Distance, measured, paired_counts


def jensen_shannon(reference: ArrayLike, current: ArrayLike) -> Distance:
    r"""Measure the distance to the mixture of both distributions: always finite, between 0 and 1.

    $$\mathrm{JS}^2 = \tfrac{1}{2} \mathrm{KL}(p \,\|\, m) + \tfrac{1}{2} \mathrm{KL}(q \,\|\, m),
    \qquad m = \tfrac{1}{2}(p + q)$$

    This is the *distance*, the square root of the divergence, with logarithms to base 2: the
    convention of scipy with `base=2`. Without change $8 \ln 2\, \mathrm{JS}^2 / (1/n + 1/m)$ is
    nearly $\chi^2$ with one degree of freedom less than bins in use, which gives the p-value.

    Args:
        reference: Counts per bin, shape `(b,)`.
        current: Counts over the same bins, shape `(b,)`.

    Returns:
        The distance, 0 for equal shares and 1 for histograms without a common bin.

    Raises:
        ValueError: As `paired_counts`.

    Example:
        >>> round(jensen_shannon([500, 300, 200], [400, 300, 300]).value, 4)
        0.1062
        >>> jensen_shannon([10, 0], [0, 10]).value
        1.0

    References:
        Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on
        Information Theory 37(1), 145-151.
        Endres, D. and Schindelin, J. (2003). A new metric for probability distributions. IEEE
        Transactions on Information Theory 49(7), 1858-1860.
    """
    p_counts, q_counts = paired_counts(reference, current)
    p, q = p_counts / p_counts.sum(), q_counts / q_counts.sum()
    mixture = (p + q) / 2.0
    nats = float(rel_entr(p, mixture).sum() + rel_entr(q, mixture).sum()) / 2.0
    nats = min(max(nats, 0.0), math.log(2.0))
    freedom = int(((p_counts + q_counts) > 0.0).sum()) - 1
    scale = 1.0 / p_counts.sum() + 1.0 / q_counts.sum()
    p_value = float(chdtrc(freedom, 8.0 * nats / scale)) if freedom else 1.0
    return measured(math.sqrt(nats / math.log(2.0)), p_value, p_counts, q_counts)
