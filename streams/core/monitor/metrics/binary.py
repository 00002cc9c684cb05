"""Quality of binary classifiers."""

from streams.core.layout import CALIBRATION_RANGES, Layout
from streams.core.monitor.metrics.curves import average_precision, by_outcome, roc_auc
from streams.core.monitor.metrics.values import NOTHING, area, f1, keep, plain, rate
from streams.core.partials import Cell
from streams.core.sums import Sums
from streams.payloads import MetricValue


def binary(cell: Cell, layout: Layout) -> dict[str, MetricValue]:
    """Metrics of a quality cell, defined as scikit-learn does.

    Precision, recall, F1 and specificity are absent where they would divide by nothing. The
    calibration error is the expected one: ten equal score ranges, the gap between mean score and
    share of positives in each, weighted by the rows in it.
    """
    confusion = cell.dense.get("confusion")
    if confusion is None:
        return {}
    tp, fp, tn, fn = (max(float(weight), 0.0) for weight in confusion)
    n = tp + fp + tn + fn
    return keep(
        {
            "accuracy": rate(tp + tn, n),
            "precision": rate(tp, tp + fp),
            "recall": rate(tp, tp + fn),
            "f1": f1(tp, fp, fn),
            "specificity": rate(tn, tn + fp),
            "positive_rate": rate(tp + fn, n),
            **_curves(cell, layout),
            **_losses(cell),
        }
    )


def confusion_of(cell: Cell) -> dict[str, float] | None:
    """Confusion weights by name; None without truth."""
    confusion = cell.dense.get("confusion")
    if confusion is None or confusion.sum() <= NOTHING:
        return None
    return dict(zip(("tp", "fp", "tn", "fn"), confusion.tolist(), strict=True))


def _curves(cell: Cell, layout: Layout) -> dict[str, MetricValue]:
    negatives, positives = by_outcome(
        cell.sparse.get("score") or Sums.none(), len(layout.score_bins)
    )
    negative, positive = float(negatives.sum()), float(positives.sum())
    found: dict[str, MetricValue] = {}
    auc = roc_auc(negatives, positives)
    if auc is not None:
        found["roc_auc"] = area(auc.value, positive, negative, auc.bound, negative + positive)
    precision = average_precision(negatives, positives)
    if precision is not None:
        found["average_precision"] = MetricValue(
            value=precision.value, n=negative + positive, error_bound=precision.bound
        )
    return found


def _losses(cell: Cell) -> dict[str, MetricValue]:
    loss = cell.dense.get("loss")
    calibration = cell.dense.get("calibration")
    if loss is None or calibration is None or loss[0] <= NOTHING:
        return {}
    n = float(loss[0])
    _, positive, scores = calibration.reshape(CALIBRATION_RANGES, 3).T
    return {
        "log_loss": plain(loss[1] / n, n),
        "brier": plain(loss[2] / n, n),
        "calibration_error": plain(float(abs(positive - scores).sum()) / n, n),
    }
