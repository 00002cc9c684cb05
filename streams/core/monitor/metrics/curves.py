"""ROC AUC and average precision from counts per score bin, with what binning can have cost."""

from typing import NamedTuple

import numpy as np

from streams.core.monitor.metrics.values import NOTHING
from streams.core.partials import FloatArray
from streams.core.sums import Sums


class Measured(NamedTuple):
    """A number and how far binning can have moved it."""

    value: float
    bound: float


def by_outcome(sums: Sums, bins: int) -> tuple[FloatArray, FloatArray]:
    """Spread sums of keys ``2 * bin + outcome`` to (negatives, positives), each [bins]."""
    out = sums.spread(2 * bins)
    out[out <= NOTHING] = 0.0
    return out[0::2], out[1::2]


def roc_auc(negatives: FloatArray, positives: FloatArray) -> Measured | None:
    """Probability that a positive outscores a negative, ties within a bin counting half.

    The exact value differs by at most half the share of pairs that share a bin. None unless both
    outcomes occurred.

    Args:
        negatives: weight per bin in ascending order of score, shape [bins].
        positives: likewise.
    """
    pairs = float(negatives.sum() * positives.sum())
    if pairs <= 0.0:
        return None
    below = np.cumsum(negatives) - negatives
    tied = float(positives @ negatives)
    value = (float(positives @ below) + tied / 2.0) / pairs
    return Measured(min(max(value, 0.0), 1.0), tied / 2.0 / pairs)


def average_precision(negatives: FloatArray, positives: FloatArray) -> Measured | None:
    """Precision averaged over recall, every bin one threshold.

    The value is scikit-learn's on binned scores. Whatever the order inside a bin, a positive's
    precision lies between that of a bin whose negatives all come first and that of one whose
    negatives all come last, which bounds the error. None without positives.

    Args:
        negatives: weight per bin in ascending order of score, shape [bins].
        positives: likewise.
    """
    total = float(positives.sum())
    if total <= 0.0:
        return None
    hits, misses = positives[::-1], negatives[::-1]
    used = hits > 0.0
    hits_after, misses_after = np.cumsum(hits)[used], np.cumsum(misses)[used]
    hits, misses = hits[used], misses[used]
    hits_before, misses_before = hits_after - hits, misses_after - misses
    value = float(hits @ (hits_after / (hits_after + misses_after))) / total
    best = float(hits @ (hits_after / (hits_after + misses_before))) / total
    worst_count = hits_before + misses_after
    worst_share = np.divide(
        hits_before, worst_count, out=np.ones_like(hits), where=misses_after > 0.0
    )
    worst = float(hits @ worst_share) / total
    return Measured(value, max(best - value, value - worst, 0.0))
