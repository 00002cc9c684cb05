"""The Prometheus page of one worker: latest windows, open alerts, the pipeline's own health.

A value that cannot be computed has no series: NaN would be scraped as a value and would make every
comparison in an alert rule false. What is no longer told (a retired version, a partition that moved
to another worker) vanishes with the next page.

The exporter is made for a thread beside an event loop: the interpreter hands over by itself every
5 ms only, so about once in a millisecond of work it is let go.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from streams.payloads import Alert, Window
from streams.sinks.exposition import CONTENT_TYPE, Family, label_block, render, sample
from streams.sinks.lines import WindowLines
from streams.sinks.series import PREFIX

Labels = tuple[tuple[str, str], ...]
Figure = float | Mapping[Labels, float]
"""A number, or numbers by labels."""

PAUSE = 5e-5
"""Seconds of a pause: a sleep of none would take the interpreter back before anyone wakes up."""

SHORTEST_INTERVAL = 1.0
"""Seconds for which a page is good, however often it is asked for."""

_ALERTS = Family(f"{PREFIX}alerts_open", "gauge", "Open alerts, by rule.")
_LIMITED = Family(
    f"{PREFIX}series_limited_total",
    "counter",
    "Series that were left out of pages, summed over pages, by limit.",
)
_RETIRED = Family(
    f"{PREFIX}labels_retired_total", "counter", "Versions and segments that are told no longer."
)

HELP = {
    "lag_records": "Records between what was delivered and the end of the partition.",
    "records_total": "Records delivered since this worker got the partition.",
    "lost_records_total": "Offsets that retention removed before they were read.",
    "event_time_seconds": "Event time up to which everything was processed.",
    "checkpoint_age_seconds": "Time since everything processed was last known to be durable.",
    "checkpoint_duration_seconds": "Time that the last checkpoint took.",
    "checkpoints_total": "Checkpoints since this worker got the partition.",
    "predictions_waiting": "Predictions that wait for their label.",
    "feedback_waiting": "Labels that wait for their prediction.",
    "quarantined_total": "Events that could not be read, by reason.",
    "rebalances_total": "Assignments of partitions since the start.",
    "fencings_total": "Partitions given up because another worker took them over.",
    "worker_ready": "Whether the worker has partitions and has restored them.",
    "worker_heartbeat_age_seconds": "Time since the event loop last had a turn for its timer.",
}
"""One line of help for figures of the pipeline, by name without stage; others by their names."""


def _pause() -> None:
    time.sleep(PAUSE)


class Exporter:
    """Keeps the latest of everything and renders it when asked."""

    def __init__(
        self,
        max_series: int = 10_000,
        max_label_values: int = 100,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[], None] = _pause,
    ) -> None:
        """Keep the limits.

        Args:
            max_series: samples of windows that a page holds at most. Quality goes first, then
                drift and classes, then inputs; within each, whole models before versions and
                segments. Alerts and the pipeline's own figures are never left out.
            max_label_values: versions, segments, features and classes of one model that are shown
                at most, first come first served.
            clock: seconds that only grow.
            pause: called between pieces of work, to let others run.
        """
        self._max_series = max_series
        self._max_label_values = max_label_values
        self._clock = clock
        self._pause = pause
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._windows: list[Window] = []
        self._alerts: Mapping[Labels, float] = {}
        self._pipeline: Mapping[str, Figure] = {}
        self._lines = WindowLines(max_label_values, pause)
        self._admitted: dict[tuple[str, str], dict[str, None]] = {}
        self._limited = {"max_series": 0, "max_label_values": 0}
        self._retired = 0
        self._changed = True
        self._rendered_at = float("-inf")
        self._body = b""

    def update(
        self,
        windows: Iterable[Window],
        alerts: Iterable[Alert],
        pipeline: Mapping[str, Figure],
    ) -> None:
        """Replace everything that is shown.

        Args:
            windows: the latest window per model, version, segment, size and view.
            alerts: alerts; resolved ones keep their rule's series at 0 while they are told.
            pipeline: figures by name without prefix; names that end in ``_total`` are counters.
        """
        self._windows = sorted(windows, key=_importance)
        self._alerts = _count(alerts)
        self._pipeline = pipeline
        self._lines.update(self._windows, self._within_label_limits())
        self._changed = True

    def _within_label_limits(self) -> set[str]:
        """Choose the windows whose version and segment are among the first of their model."""
        present: dict[tuple[str, str], dict[str, None]] = {}
        for window in self._windows:
            for label, value in _limited_labels(window):
                present.setdefault((window.model, label), {})[value] = None
        admitted: dict[tuple[str, str], dict[str, None]] = {}
        for key, values in present.items():
            stay = [value for value in self._admitted.get(key, {}) if value in values]
            come = [value for value in values if value not in self._admitted.get(key, {})]
            admitted[key] = dict.fromkeys([*stay, *come][: self._max_label_values])
        self._retired += sum(
            value not in present.get(key, {})
            for key, values in self._admitted.items()
            for value in values
        )
        self._admitted = admitted
        return {
            window.id
            for window in self._windows
            if all(
                value in admitted[window.model, label] for label, value in _limited_labels(window)
            )
        }

    def render(self) -> tuple[bytes, str]:
        """Give the page and its content type; at most one rendering per second."""
        now = self._clock()
        if self._changed and now - self._rendered_at >= SHORTEST_INTERVAL:
            self._body = self._render()
            self._rendered_at = now
            self._changed = False
        return self._body, CONTENT_TYPE

    def _render(self) -> bytes:
        families, left_out = self._lines.families(self._max_series)
        self._limited["max_series"] += left_out
        self._limited["max_label_values"] += self._lines.limited
        for labels, count in self._alerts.items():
            families.setdefault(_ALERTS, []).append(
                sample(_ALERTS.name, label_block(labels), count)
            )
        for reason, count in self._limited.items():
            block = label_block([("reason", reason)])
            families.setdefault(_LIMITED, []).append(sample(_LIMITED.name, block, count))
        families[_RETIRED] = [sample(_RETIRED.name, "", self._retired)]
        taken = {family.name for family in families}
        for name, figure in self._pipeline.items():
            family = _pipeline_family(name, taken)
            numbers = figure if isinstance(figure, Mapping) else {(): figure}
            families.setdefault(family, []).extend(
                sample(family.name, label_block(labels), number)
                for labels, number in numbers.items()
                if not math.isnan(number)
            )
        self._pause()
        process = generate_latest(self._process)
        self._pause()
        return render(families) + process


def _importance(window: Window) -> tuple[bool, bool, str, str, str, str, float]:
    return (
        window.segment != "*",
        window.model_version != "*",
        window.model,
        window.model_version,
        window.segment,
        window.view,
        window.size_s,
    )


def _limited_labels(window: Window) -> tuple[tuple[str, str], ...]:
    return (("model_version", window.model_version), ("segment", window.segment))


def _count(alerts: Iterable[Alert]) -> dict[Labels, float]:
    counts: dict[Labels, float] = {}
    for alert in alerts:
        labels = (("model", alert.model), ("rule", alert.rule), ("severity", alert.severity))
        counts[labels] = counts.get(labels, 0) + (alert.status != "resolved")
    return counts


def _pipeline_family(name: str, taken: AbstractSet[str]) -> Family:
    """Describe a figure of the pipeline; a name that means something else already is marked."""
    clean = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    bare = clean.removeprefix("join_").removeprefix("monitor_")
    text = HELP.get(bare, f"The pipeline's own health: {clean.replace('_', ' ')}.")
    full = f"{PREFIX}{clean}"
    if full in taken:
        full = f"{PREFIX}pipeline_{clean}"
    return Family(full, "counter" if clean.endswith("_total") else "gauge", text)
