"""Confidence intervals for the figures that a dashboard shows."""

import math
from dataclasses import dataclass

from scipy.special import chdtri, ndtri


@dataclass(frozen=True, slots=True)
class Interval:
    """A range that covers the true value with a stated probability.

    Attributes:
        low: Lower end.
        high: Upper end.
        level: Nominal probability of covering the true value.
    """

    low: float
    high: float
    level: float


def wilson(successes: float, n: float, level: float = 0.95) -> Interval:
    r"""Return Wilson's score interval for a proportion.

    $$\frac{\hat p + z^2 / 2n \pm z \sqrt{\hat p (1 - \hat p) / n + z^2 / 4n^2}}{1 + z^2 / n}$$

    Unlike the textbook interval it stays inside [0, 1] and keeps its level for small `n` and for
    rates near 0 or 1.

    Args:
        successes: Items that count, from 0 to `n`.
        n: All items, at least 0; with none the interval is [0, 1].
        level: Probability of covering the true proportion, in (0, 1).

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> interval = wilson(3, 100)
        >>> round(interval.low, 4), round(interval.high, 4)
        (0.0103, 0.0845)

    References:
        Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference.
        Journal of the American Statistical Association 22, 209-212.
    """
    if not 0.0 <= successes <= n:
        raise ValueError(f"successes must be from 0 to n, got {successes!r} of {n!r}")
    z = _z(level)
    if n == 0:
        return Interval(0.0, 1.0, level)
    share = successes / n
    weight = 1.0 + z * z / n
    centre = (share + z * z / (2.0 * n)) / weight
    half = z / weight * math.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low, high, level)


def mean_interval(n: int, mean: float, variance: float, level: float = 0.95) -> Interval:
    r"""Return the normal interval $\bar x \pm z \sqrt{s^2 / n}$ for a mean.

    Sound from some dozens of items on, more if the values are very skewed.

    Args:
        n: Items, at least 2.
        mean: Their mean.
        variance: Their sample variance (divisor `n - 1`), at least 0.
        level: Probability of covering the true mean, in (0, 1).

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> interval = mean_interval(100, 5.0, 4.0)
        >>> round(interval.low, 3), round(interval.high, 3)
        (4.608, 5.392)

    References:
        Casella, G. and Berger, R. (2002). Statistical Inference, 2nd edition, section 10.4.
    """
    if n < 2:
        raise ValueError(f"n must be at least 2, got {n!r}")
    if not variance >= 0.0:
        raise ValueError(f"variance must be at least 0, got {variance!r}")
    half = _z(level) * math.sqrt(variance / n)
    return Interval(mean - half, mean + half, level)


def auc_interval(auc: float, positives: float, negatives: float, level: float = 0.95) -> Interval:
    r"""Return Hanley and McNeil's interval for an area under the ROC curve.

    With $Q_1 = A / (2 - A)$ and $Q_2 = 2 A^2 / (1 + A)$,
    $$\mathrm{var}(A) = \frac{A (1 - A) + (P - 1)(Q_1 - A^2) + (N - 1)(Q_2 - A^2)}{P N}.$$

    It needs counts only, not the scores; it assumes about exponential scores and is a little wide
    otherwise. The interval is cut at 0 and 1.

    Args:
        auc: The area, in [0, 1].
        positives: Positive items, at least 1.
        negatives: Negative items, at least 1.
        level: Probability of covering the true area, in (0, 1).

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> interval = auc_interval(0.8, positives=100, negatives=900)
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.747, 0.853)

    References:
        Hanley, J. and McNeil, B. (1982). The meaning and use of the area under a receiver operating
        characteristic (ROC) curve. Radiology 143, 29-36.
    """
    if not 0.0 <= auc <= 1.0:
        raise ValueError(f"auc must be in [0, 1], got {auc!r}")
    if positives < 1 or negatives < 1:
        raise ValueError(
            f"positives and negatives must be at least 1, got {positives!r} and {negatives!r}"
        )
    q1 = auc / (2.0 - auc)
    q2 = 2.0 * auc * auc / (1.0 + auc)
    variance = (
        auc * (1.0 - auc)
        + (positives - 1.0) * (q1 - auc * auc)
        + (negatives - 1.0) * (q2 - auc * auc)
    ) / (positives * negatives)
    half = _z(level) * math.sqrt(max(variance, 0.0))
    return Interval(max(0.0, auc - half), min(1.0, auc + half), level)


def rate_interval(events: int, exposure: float, level: float = 0.95) -> Interval:
    r"""Return the exact interval for the rate of a Poisson process.

    $$\left[\frac{\chi^2_{a/2,\, 2k}}{2 T}, \frac{\chi^2_{1 - a/2,\, 2k + 2}}{2 T}\right]$$

    Args:
        events: Events $k$ seen, at least 0.
        exposure: Time or volume $T$ in which they were seen, above 0.
        level: Probability of covering the true rate, at least this much; in (0, 1).

    Returns:
        The interval in events per unit of exposure.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> interval = rate_interval(0, exposure=100.0)
        >>> interval.low, round(interval.high, 4)
        (0.0, 0.0369)

    References:
        Garwood, F. (1936). Fiducial limits for the Poisson distribution. Biometrika 28, 437-442.
    """
    if events < 0:
        raise ValueError(f"events must be at least 0, got {events!r}")
    if not exposure > 0.0:
        raise ValueError(f"exposure must be positive, got {exposure!r}")
    _z(level)
    tail = (1.0 - level) / 2.0
    low = float(chdtri(2 * events, 1.0 - tail)) / (2.0 * exposure) if events else 0.0
    return Interval(low, float(chdtri(2 * events + 2, tail)) / (2.0 * exposure), level)


def _z(level: float) -> float:
    """Return the two-sided normal quantile."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be in (0, 1), got {level!r}")
    return float(ndtri(0.5 + level / 2.0))
