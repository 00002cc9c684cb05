"""Which Prometheus series a published window becomes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TypeVar

from streams.config.durations import format_duration
from streams.payloads import Distance, Input, MetricValue, Window
from streams.sinks.exposition import Family, label_block, sample

PREFIX = "driftline_"

_RATIOS = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "specificity",
    "roc_auc",
    "average_precision",
    "calibration_error",
    "positive_rate",
    "mape",
    "ndcg_at_",
    "mrr",
    "hit_rate_at_",
    "map_at_",
    "ctr",
    "cvr",
)
_RENAMED = {"value_total": "total_value"}
"""Names that would end like a counter's."""

_FEATURE_FIGURES = {
    "missing_rate": ("missing_ratio", "Share of predictions without the feature"),
    "type_error_rate": ("type_error_ratio", "Share of predictions with a feature of a wrong type"),
    "range_violation_rate": ("range_violation_ratio", "Share of the values out of range"),
    "category_violation_rate": (
        "category_violation_ratio",
        "Share of the values of unknown categories",
    ),
    "mean": ("mean", "Mean of a feature"),
    "variance": ("variance", "Variance of a feature"),
    "p05": ("p05", "5th percentile of a feature"),
    "p25": ("p25", "25th percentile of a feature"),
    "p50": ("p50", "Median of a feature"),
    "p75": ("p75", "75th percentile of a feature"),
    "p95": ("p95", "95th percentile of a feature"),
    "cardinality": ("cardinality", "Estimated number of distinct values of a feature"),
}

Lines = list[tuple[Family, str]]
V = TypeVar("V")


@dataclass(slots=True)
class WindowLines:
    """A window's samples in order of importance: what does not fit is left out from the end.

    Attributes:
        quality: sample counts, quality and operation.
        drift: distances, and metrics per class.
        inputs: figures per feature.
        limited: samples left out because a label had too many values.
        hidden: whether all were.
    """

    quality: Lines = field(default_factory=list)
    drift: Lines = field(default_factory=list)
    inputs: Lines = field(default_factory=list)
    limited: int = 0
    hidden: bool = False

    def hide(self) -> None:
        """Leave out every sample, because version or segment is one too many."""
        self.limited += len(self.quality) + len(self.drift) + len(self.inputs)
        self.quality, self.drift, self.inputs = [], [], []
        self.hidden = True


def window_name(window: Window) -> str:
    """Name a window's size, and its hop where they differ: ``5m`` or ``5m/1m``."""
    size = format_duration(round(window.size_s * 1000))
    hop = format_duration(round(window.hop_s * 1000))
    return size if size == hop else f"{size}/{hop}"


def window_lines(window: Window, max_label_values: int) -> WindowLines:
    """Write a window's samples.

    Args:
        window: what was published.
        max_label_values: how many features and classes are shown at most.
    """
    labels = (
        ("model", window.model),
        ("model_version", window.model_version),
        ("segment", window.segment),
        ("window", window_name(window)),
        ("view", window.view),
    )
    lines = WindowLines()
    block = label_block(labels)
    for family, value in _figures(window):
        lines.quality.append((family, sample(family.name, block, value)))

    def add(into: Lines, label: str, entry: str, found: Iterable[tuple[Family, float]]) -> None:
        entry_block = label_block((*labels, (label, entry)))
        into.extend((family, sample(family.name, entry_block, value)) for family, value in found)

    for column, distances in _first(window.drift, max_label_values, lines):
        add(lines.drift, *_drift(column, distances))
    for name, metrics in _first(window.per_class, max_label_values, lines):
        add(lines.drift, "class", name, _metrics("class_", metrics))
    for name, feature in _first(window.inputs, max_label_values, lines):
        add(lines.inputs, "feature", name, _feature(feature))
    return lines


def _first(
    entries: Mapping[str, V] | None, most: int, lines: WindowLines
) -> Iterator[tuple[str, V]]:
    entries = entries or {}
    lines.limited += max(0, len(entries) - most)
    return islice(entries.items(), most)


def _gauge(name: str, text: str) -> Family:
    return Family(f"{PREFIX}{name}", "gauge", f"{text}.")


def _figures(window: Window) -> Iterator[tuple[Family, float]]:
    end = datetime.fromisoformat(window.end).timestamp()
    yield _gauge("window_end_timestamp_seconds", "End of the latest window"), end
    yield _gauge("window_labels", "Labels in the window"), window.labels
    if window.predictions is not None:
        yield _gauge("window_predictions", "Predictions in the window"), window.predictions
    if window.label_coverage is not None:
        yield (
            _gauge("window_label_coverage_ratio", "Share of predictions whose label is known"),
            window.label_coverage,
        )
    yield from _metrics("quality_", window.metrics)
    for name, metric in window.operation.items():
        if name != "predictions":
            yield _operation(name, metric.value)


def _metrics(prefix: str, metrics: Mapping[str, MetricValue]) -> Iterator[tuple[Family, float]]:
    for name, metric in metrics.items():
        suffix = "_ratio" if name.startswith(_RATIOS) else ""
        subject = "Metric of one class" if prefix == "class_" else "Metric of the window"
        family = _gauge(f"{prefix}{_RENAMED.get(name, name)}{suffix}", f"{subject}: {name}")
        yield family, metric.value


def _operation(name: str, value: float) -> tuple[Family, float]:
    if name == "error_share":
        return _gauge("operation_error_ratio", "Share of predictions that failed"), value
    if name.startswith("latency_"):
        family = _gauge(f"operation_{name}_seconds", f"Latency of predictions: {name}")
        return family, value / 1000
    if name.startswith("label_delay_"):
        family = _gauge(f"operation_{name}_seconds", f"Time from prediction to label: {name}")
        return family, value
    return _gauge(f"operation_{name}", f"Traffic in the window: {name}"), value


def _drift(
    column: str, distances: Mapping[str, Distance]
) -> tuple[str, str, list[tuple[Family, float]]]:
    """Label, its value and figures; outputs are apart, for a feature may be called "score"."""
    name = column.removeprefix("feature:")
    output = name == column
    prefix, noun = ("output_drift_", "an output") if output else ("drift_", "a feature")
    return (
        "output" if output else "feature",
        name,
        [
            (_gauge(f"{prefix}{kind}", f"Distance of {noun} from the reference: {kind}"), d.value)
            for kind, d in distances.items()
        ],
    )


def _feature(feature: Input) -> Iterator[tuple[Family, float]]:
    for attribute, (name, text) in _FEATURE_FIGURES.items():
        value: float | None = getattr(feature, attribute)
        if value is not None:
            yield _gauge(f"input_{name}", text), value
