"""From the merged cells of a window to what is published about it."""

import msgspec
import numpy as np

from streams.config.settings import LoadedModel
from streams.core.layout import Layout
from streams.core.monitor.drift import DriftMeter
from streams.core.monitor.metrics.binary import binary, confusion_of
from streams.core.monitor.metrics.inputs import inputs
from streams.core.monitor.metrics.multiclass import matrix_by_name, multiclass, per_class
from streams.core.monitor.metrics.operation import label_delay, operation, predictions_of
from streams.core.monitor.metrics.outcomes import outcomes
from streams.core.monitor.metrics.ranking import ranking
from streams.core.monitor.metrics.regression import regression
from streams.core.partials import Cell
from streams.payloads import Distance, Input, MetricValue

_COARSE_BINS = 20


class Traffic(msgspec.Struct, frozen=True):
    """What is known of a window's predictions alone; fixed once they can no longer be late.

    Attributes:
        predictions: how many.
        operation: traffic and latency, by metric name.
        score_histogram: predictions by score, twenty equal ranges; None without scores.
    """

    predictions: int
    operation: dict[str, MetricValue]
    score_histogram: list[float] | None = None


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """The measured part of a published window; fields as in :class:`streams.payloads.Window`.

    Two revisions with equal content are not both published.
    """

    labels: int
    predictions: int | None
    label_coverage: float | None
    metrics: dict[str, MetricValue]
    operation: dict[str, MetricValue]
    confusion: dict[str, float] | None
    confusion_matrix: dict[str, dict[str, float]] | None
    per_class: dict[str, dict[str, MetricValue]] | None
    inputs: dict[str, Input] | None
    drift: dict[str, dict[str, Distance]] | None
    score_histogram: list[float] | None


class Meter:
    """Measures the windows of one model.

    Args:
        model: the model.
        layout: how its cells are laid out.
    """

    def __init__(self, model: LoadedModel, layout: Layout) -> None:
        self._model = model
        self._layout = layout
        self._drift = DriftMeter(model, layout)
        self._coarse = _coarse_bins(layout)

    def traffic(self, cell: Cell | None, size: int) -> Traffic:
        """Measure the predictions of a window of ``size`` ms."""
        histogram = None
        if cell is not None and self._layout.task == "binary":
            histogram = self._histogram(cell)
        return Traffic(predictions_of(cell), operation(cell, size), histogram)

    def content(
        self,
        size: int,
        quality: Cell | None,
        traffic: Traffic | None = None,
        traffic_cell: Cell | None = None,
        inputs_cell: Cell | None = None,
        *,
        whole: bool,
    ) -> Content:
        """Put a window together.

        Args:
            size: its length, ms.
            quality: its merged quality cell.
            traffic: what :meth:`traffic` found; None in the view by label time.
            traffic_cell: its merged traffic cell, while there is one.
            inputs_cell: its merged inputs cell, while there is one.
            whole: whether it covers all segments, so that drift is measured.
        """
        labels = 0
        metrics: dict[str, MetricValue] = {}
        operating = {} if traffic is None else dict(traffic.operation)
        confusion = matrix = classes = None
        predictions = None if traffic is None else traffic.predictions
        if quality is not None:
            labels = round(float(quality.dense["labels"][0])) if "labels" in quality.dense else 0
            operating |= label_delay(quality)
            if self._layout.task == "multiclass":
                classes = per_class(quality, self._layout)
                matrix = matrix_by_name(quality, self._layout)
                metrics = multiclass(quality, self._layout, classes)
            else:
                metrics = self._metrics(quality)
                confusion = confusion_of(quality) if self._layout.task == "binary" else None
            metrics |= outcomes(quality, self._model.config.outcomes, predictions)
        drift = None
        if whole and self._drift.measures(size):
            drift = self._drift.measure(
                {"traffic": traffic_cell, "inputs": inputs_cell, "quality": quality}
            )
        return Content(
            labels=labels,
            predictions=predictions,
            label_coverage=min(labels / predictions, 1.0) if predictions else None,
            metrics=metrics,
            operation=operating,
            confusion=confusion,
            confusion_matrix=matrix,
            per_class=classes or None,
            inputs=None if inputs_cell is None else inputs(inputs_cell, self._layout) or None,
            drift=drift or None,
            score_histogram=None if traffic is None else traffic.score_histogram,
        )

    def _metrics(self, quality: Cell) -> dict[str, MetricValue]:
        match self._layout.task:
            case "binary":
                return binary(quality, self._layout)
            case "regression":
                return regression(quality)
            case "ranking":
                return ranking(quality, self._layout)
            case _:
                return {}

    def _histogram(self, cell: Cell) -> list[float] | None:
        counts = cell.sparse.get("score")
        if not counts:
            return None
        bins = self._coarse[counts.at]
        found: list[float] = np.bincount(bins, counts.amounts, _COARSE_BINS).tolist()
        return found


def _coarse_bins(layout: Layout) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Which of twenty equal ranges of [0, 1] the middle of each score bin falls into."""
    edges = np.concatenate(([0.0], layout.score_bins.edges, [1.0]))
    middles = (edges[1:] + edges[:-1]) / 2.0
    return np.clip(middles * _COARSE_BINS, 0, _COARSE_BINS - 1).astype(np.int64)
