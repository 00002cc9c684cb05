"""Which Prometheus series a published window becomes.

From one window to the next only the numbers change. What they are called is therefore worked out
once per shape (which metrics, features and classes there are) and kept; a new window costs no more
than reading its numbers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import compress, islice
from operator import attrgetter
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from streams.config.durations import format_duration
from streams.payloads import Window
from streams.sinks.exposition import Family, label_block

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

Names = tuple[str, ...]
Groups = tuple[tuple[str, Names], ...]
"""Names by column or class."""

Present = tuple[bool, ...]
"""Which of the figures of a feature there are."""

Series = tuple[Family, float]
"""A metric, and by what its numbers have to be divided to be in base units."""

V = TypeVar("V")

_figures_of = attrgetter(*_FEATURE_FIGURES)


class Shape(NamedTuple):
    """What a window tells, without the numbers.

    Attributes:
        predictions: whether it says how many predictions it holds.
        coverage: whether it says for how many of them the label is known.
        metrics: names of its metrics.
        operation: names of its figures of operation.
        drift: distances by column.
        classes: metrics by class.
        inputs: by feature, which of its figures there are.
    """

    predictions: bool
    coverage: bool
    metrics: Names
    operation: Names
    drift: Groups
    classes: Groups
    inputs: tuple[tuple[str, Present], ...]


class Reading(NamedTuple):
    """The numbers of a window.

    Attributes:
        shape: what they mean.
        values: the numbers, most important first.
        limited: how many were left out because a label had too many values.
    """

    shape: Shape
    values: list[float]
    limited: int


@dataclass(slots=True, frozen=True, eq=False)
class Plan:
    """The series of every window of one shape, most important first.

    Attributes:
        families: the metric of each.
        starts: each up to its first label.
        ends: each from behind the labels that all of the window's series have.
        units: by what each number has to be divided to be in base units.
        tiers: where sample counts, quality and operation end; where distances and metrics per
            class end; where figures per feature end.
    """

    families: list[Family]
    starts: list[str]
    ends: list[str]
    units: NDArray[np.float64]
    tiers: tuple[int, int, int]

    def heads(self, labels: str) -> list[str]:
        """Write the series of a window, each up to its number.

        Args:
            labels: what ``window_labels`` gave for it.
        """
        return [f"{start}{labels}{end}" for start, end in zip(self.starts, self.ends, strict=True)]


def window_name(window: Window) -> str:
    """Name a window's size, and its hop where they differ: ``5m`` or ``5m/1m``."""
    size = format_duration(round(window.size_s * 1000))
    hop = format_duration(round(window.hop_s * 1000))
    return size if size == hop else f"{size}/{hop}"


def window_labels(window: Window) -> str:
    """Write the labels that all series of a window have, without braces."""
    labels = (
        ("model", window.model),
        ("model_version", window.model_version),
        ("segment", window.segment),
        ("window", window_name(window)),
        ("view", window.view),
    )
    return label_block(labels)[1:-1]


def read(window: Window, max_label_values: int) -> Reading:
    """Take the numbers out of a window.

    Args:
        window: what was published.
        max_label_values: how many features and classes are shown at most.
    """
    values: list[float] = [datetime.fromisoformat(window.end).timestamp(), window.labels]
    if window.predictions is not None:
        values.append(window.predictions)
    if window.label_coverage is not None:
        values.append(window.label_coverage)
    operation = {name: m for name, m in window.operation.items() if name != "predictions"}
    values += [metric.value for metric in window.metrics.values()]
    values += [metric.value for metric in operation.values()]
    drift, limited = _first(window.drift, max_label_values)
    values += [distance.value for _, found in drift for distance in found.values()]
    classes, cut = _first(window.per_class, max_label_values)
    limited += cut
    values += [metric.value for _, found in classes for metric in found.values()]
    kept_inputs, cut = _first(window.inputs, max_label_values)
    inputs = []
    for name, feature in kept_inputs:
        figures = _figures_of(feature)
        inputs.append((name, tuple([figure is not None for figure in figures])))
        values += [figure for figure in figures if figure is not None]
    shape = Shape(
        window.predictions is not None,
        window.label_coverage is not None,
        tuple(window.metrics),
        tuple(operation),
        tuple([(column, tuple(found)) for column, found in drift]),
        tuple([(name, tuple(found)) for name, found in classes]),
        tuple(inputs),
    )
    return Reading(shape, values, limited + cut)


def _first(entries: Mapping[str, V] | None, most: int) -> tuple[list[tuple[str, V]], int]:
    """Keep the first entries; tell how many there are beyond them."""
    entries = entries or {}
    return list(islice(entries.items(), most)), max(0, len(entries) - most)


def plan(shape: Shape) -> Plan:
    """Name the series of a shape."""
    families: list[Family] = []
    units: list[float] = []
    ends: list[str] = []

    def add(found: Iterable[Series], *label: tuple[str, str]) -> None:
        end = f",{label_block(label)[1:]} " if label else "} "
        for family, unit in found:
            families.append(family)
            units.append(unit)
            ends.append(end)

    add(_figures(shape))
    quality = len(families)
    for column, kinds in shape.drift:
        label, found = _drift(column, kinds)
        add(found, label)
    for name, metrics in shape.classes:
        add(_metrics("class_", metrics), ("class", name))
    drift = len(families)
    for name, present in shape.inputs:
        add(compress(_FEATURE_SERIES, present), ("feature", name))
    starts = [f"{family.name}{{" for family in families]
    return Plan(families, starts, ends, np.array(units), (quality, drift, len(families)))


def _gauge(name: str, text: str, unit: float = 1.0) -> Series:
    return Family(f"{PREFIX}{name}", "gauge", f"{text}."), unit


_FEATURE_SERIES = tuple(_gauge(f"input_{name}", text) for name, text in _FEATURE_FIGURES.values())


def _figures(shape: Shape) -> Iterator[Series]:
    yield _gauge("window_end_timestamp_seconds", "End of the latest window")
    yield _gauge("window_labels", "Labels in the window")
    if shape.predictions:
        yield _gauge("window_predictions", "Predictions in the window")
    if shape.coverage:
        yield _gauge("window_label_coverage_ratio", "Share of predictions whose label is known")
    yield from _metrics("quality_", shape.metrics)
    yield from map(_operation, shape.operation)


def _metrics(prefix: str, names: Names) -> Iterator[Series]:
    subject = "Metric of one class" if prefix == "class_" else "Metric of the window"
    for name in names:
        suffix = "_ratio" if name.startswith(_RATIOS) else ""
        yield _gauge(f"{prefix}{_RENAMED.get(name, name)}{suffix}", f"{subject}: {name}")


def _operation(name: str) -> Series:
    if name == "error_share":
        return _gauge("operation_error_ratio", "Share of predictions that failed")
    if name.startswith("latency_"):
        return _gauge(f"operation_{name}_seconds", f"Latency of predictions: {name}", 1000.0)
    if name.startswith("label_delay_"):
        return _gauge(f"operation_{name}_seconds", f"Time from prediction to label: {name}")
    return _gauge(f"operation_{name}", f"Traffic in the window: {name}")


def _drift(column: str, kinds: Names) -> tuple[tuple[str, str], list[Series]]:
    """Label and series; outputs are apart, for a feature may be called "score"."""
    name = column.removeprefix("feature:")
    output = name == column
    prefix, noun = ("output_drift_", "an output") if output else ("drift_", "a feature")
    text = f"Distance of {noun} from the reference: "
    return (
        ("output" if output else "feature", name),
        [_gauge(f"{prefix}{kind}", f"{text}{kind}") for kind in kinds],
    )
