"""Quality of classifiers with more than two classes."""

import numpy as np

from streams.core.layout import Layout
from streams.core.monitor.metrics.curves import by_outcome, roc_auc
from streams.core.monitor.metrics.values import NOTHING, area, f1, keep, plain, rate
from streams.core.partials import Cell, FloatArray
from streams.core.sums import Sums
from streams.payloads import MetricValue

_AVERAGED = ("precision", "recall", "f1")


def matrix(cell: Cell, layout: Layout) -> FloatArray:
    """Confusion weights, shape [actual, predicted]."""
    classes = len(layout.classes)
    out = (cell.sparse.get("confusion") or Sums.none()).spread(classes * classes)
    return np.where(out > NOTHING, out, 0.0).reshape(classes, classes)


def matrix_by_name(cell: Cell, layout: Layout) -> dict[str, dict[str, float]] | None:
    """Confusion weights by actual, then by predicted class, zeros left out; None without truth."""
    weights = matrix(cell, layout)
    named = {
        actual: {
            predicted: weight
            for predicted, weight in zip(layout.classes, row.tolist(), strict=True)
            if weight
        }
        for actual, row in zip(layout.classes, weights, strict=True)
    }
    return {actual: row for actual, row in named.items() if row} or None


def per_class(cell: Cell, layout: Layout) -> dict[str, dict[str, MetricValue]]:
    """Each class against the rest; classes that neither occurred nor were predicted are absent."""
    weights = matrix(cell, layout)
    support, called = weights.sum(axis=1), weights.sum(axis=0)
    scores = _scores_by_class(cell, layout)
    out = {}
    for index, name in enumerate(layout.classes):
        true = float(weights[index, index])
        actual, predicted = float(support[index]), float(called[index])
        if actual + predicted <= NOTHING:
            continue
        found = {
            "precision": rate(true, predicted),
            "recall": rate(true, actual),
            "f1": f1(true, predicted - true, actual - true),
            "support": plain(actual, float(support.sum())),
        }
        negatives, positives = by_outcome(scores[index], len(layout.score_bins))
        auc = roc_auc(negatives, positives)
        if auc is not None:
            negative, positive = float(negatives.sum()), float(positives.sum())
            found["roc_auc"] = area(auc.value, positive, negative, auc.bound, negative + positive)
        out[name] = keep(found)
    return out


def multiclass(
    cell: Cell, layout: Layout, classes: dict[str, dict[str, MetricValue]]
) -> dict[str, MetricValue]:
    """Metrics of a quality cell, given those :func:`per_class`.

    Averages are scikit-learn's with ``zero_division=nan``: a class whose value would divide by
    nothing is left out of them, and averages weighted by support likewise.
    """
    weights = matrix(cell, layout)
    n = float(weights.sum())
    if n <= NOTHING:
        return {}
    found = {"accuracy": rate(float(np.trace(weights)), n)}
    for name in _AVERAGED:
        values = [(c[name].value, c["support"].value) for c in classes.values() if name in c]
        found[f"{name}_macro"] = _average([(value, 1.0) for value, _ in values], n)
        found[f"{name}_weighted"] = _average(values, n)
    areas = [c["roc_auc"] for c in classes.values() if "roc_auc" in c]
    if areas:
        found["roc_auc_ovr"] = MetricValue(
            value=sum(a.value for a in areas) / len(areas),
            n=max(a.n for a in areas),
            error_bound=sum(a.error_bound or 0.0 for a in areas) / len(areas),
        )
    loss = cell.dense.get("loss")
    if loss is not None and loss[0] > NOTHING:
        found["log_loss"] = plain(loss[1] / loss[0], loss[0])
    return keep(found)


def _average(values: list[tuple[float, float]], n: float) -> MetricValue | None:
    if not values:
        return None
    total = sum(weight for _, weight in values)
    if total <= NOTHING:
        # Only classes that never occurred have a value: scikit-learn then averages plainly.
        return plain(sum(value for value, _ in values) / len(values), n)
    return plain(sum(value * weight for value, weight in values) / total, n)


def _scores_by_class(cell: Cell, layout: Layout) -> list[Sums]:
    width = 2 * len(layout.score_bins)
    sums = cell.sparse.get("class_score") or Sums.none()
    return [sums.between(i * width, (i + 1) * width) for i in range(len(layout.classes))]
