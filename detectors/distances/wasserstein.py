"""The Wasserstein distance of binned samples."""

import numpy as np
from numpy.typing import ArrayLike

from detectors.distances.base import Distance, measured, paired_counts


def wasserstein(reference: ArrayLike, current: ArrayLike, *, edges: ArrayLike) -> Distance:
    r"""Measure how far items must move, in standard deviations of the reference.

    $$W = \frac{1}{\sigma} \int |F(x) - G(x)|\, dx$$

    Items are taken to stand at the middle of their bins, which makes the integral a sum over the
    gaps between neighbouring middles and $\sigma$ the deviation of the reference's middles. It is
    an effect size: no test belongs to it.

    Args:
        reference: Counts per bin, shape `(b,)`.
        current: Counts over the same bins, shape `(b,)`.
        edges: Finite edges of the bins, strictly ascending, shape `(b + 1,)`.

    Returns:
        The distance, at least 0. If the reference stands in a single bin, half of that bin's width
        takes the place of the standard deviation.

    Raises:
        ValueError: As `paired_counts`, and if the edges do not fit.

    Example:
        >>> round(wasserstein([50, 30, 20], [40, 30, 30], edges=[0, 1, 2, 3]).value, 4)
        0.2561

    References:
        Vallender, S. S. (1974). Calculation of the Wasserstein distance between probability
        distributions on the line. Theory of Probability and Its Applications 18, 784-786.
    """
    p_counts, q_counts = paired_counts(reference, current)
    cuts = np.asarray(edges, dtype=np.float64)
    if cuts.shape != (p_counts.size + 1,):
        raise ValueError(
            f"{p_counts.size} bins need edges of shape ({p_counts.size + 1},), got {cuts.shape}"
        )
    if not (np.isfinite(cuts).all() and (np.diff(cuts) > 0.0).all()):
        raise ValueError("the edges must be finite and strictly ascending")
    middles = (cuts[1:] + cuts[:-1]) / 2.0
    p, q = p_counts / p_counts.sum(), q_counts / q_counts.sum()
    moved = float((np.abs(np.cumsum(p - q))[:-1] * np.diff(middles)).sum())
    centre = float((p * middles).sum())
    scale = float(np.sqrt((p * (middles - centre) ** 2).sum()))
    if np.count_nonzero(p) == 1:
        scale = float(np.diff(cuts)[int(np.argmax(p))]) / 2.0
    return measured(moved / scale, None, p_counts, q_counts)
