"""Numbers with the sample size and the interval that belong to them."""

from collections.abc import Mapping

from detectors.intervals import auc_interval, mean_interval, wilson
from detectors.sketches.log_buckets import log_quantiles
from streams.core.partials import FloatArray, IntArray
from streams.core.sums import Sums
from streams.payloads import MetricValue

NOTHING = 1e-9
"""Weights up to this are what is left of rows that were taken back."""


def plain(value: float, n: float) -> MetricValue:
    """Give a number whose interval is not known."""
    return MetricValue(value=float(value), n=float(n))


def rate(successes: float, n: float) -> MetricValue | None:
    """Share of ``n``, with Wilson's interval; None when there is nothing."""
    if n <= NOTHING:
        return None
    successes = min(max(float(successes), 0.0), float(n))
    interval = wilson(successes, float(n))
    return MetricValue(value=successes / n, n=float(n), low=interval.low, high=interval.high)


def f1(true_positive: float, false_positive: float, false_negative: float) -> MetricValue | None:
    """Harmonic mean of precision and recall.

    F1 is 2 J / (1 + J) with J the share of true positives among everything that is or was called
    positive, so J's Wilson interval gives that of F1.
    """
    shared = rate(true_positive, true_positive + false_positive + false_negative)
    if shared is None or shared.low is None or shared.high is None:
        return None
    return MetricValue(
        value=_f1_of(shared.value), n=shared.n, low=_f1_of(shared.low), high=_f1_of(shared.high)
    )


def _f1_of(jaccard: float) -> float:
    return 2.0 * jaccard / (1.0 + jaccard)


def mean(total: float, squares: float, n: float) -> MetricValue | None:
    """Mean from the sum and the sum of squares, with the normal interval from two rows on."""
    if n <= NOTHING:
        return None
    value = total / n
    if n < 2:
        return plain(value, n)
    variance = max(squares - total * value, 0.0) / (n - 1.0)
    interval = mean_interval(int(n), value, variance)
    return MetricValue(value=value, n=n, low=interval.low, high=interval.high)


def area(auc: float, positives: float, negatives: float, bound: float, n: float) -> MetricValue:
    """Area under the ROC curve, with Hanley and McNeil's interval widened by the bins' bound."""
    if positives < 1.0 or negatives < 1.0:
        return MetricValue(value=auc, n=n, error_bound=bound)
    interval = auc_interval(min(max(auc, 0.0), 1.0), positives, negatives)
    return MetricValue(
        value=auc,
        n=n,
        low=max(0.0, interval.low - bound),
        high=min(1.0, interval.high + bound),
        error_bound=bound,
    )


def quantiles(counts: Sums | None, names: Mapping[str, float]) -> dict[str, MetricValue]:
    """Quantiles of log buckets by name, each within one percent of its value."""
    buckets, sums = in_order(counts or Sums.none())
    if not len(buckets):
        return {}
    n = float(sums.sum())
    found = log_quantiles(buckets, sums, list(names.values()))
    return {name: plain(value, n) for name, value in zip(names, found, strict=True)}


def in_order(counts: Sums) -> tuple[IntArray, FloatArray]:
    """Keys with something in them, ascending, and how much; shape [keys] each."""
    kept = counts.amounts > NOTHING
    return counts.at[kept], counts.amounts[kept]


def keep(found: Mapping[str, MetricValue | None]) -> dict[str, MetricValue]:
    """Leave out what could not be computed."""
    return {name: value for name, value in found.items() if value is not None}
