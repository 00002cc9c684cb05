"""What rules know besides the event: the model, and a little of what came before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.config.settings import LoadedModel
from streams.core.alerts.judgement import Series, Span
from streams.core.layout import Layout
from streams.core.monitor.events import WindowClosed
from streams.core.partials import ALL
from streams.payloads import MetricValue


@dataclass(slots=True, frozen=True)
class SegmentValue:
    """A metric of one segment, in the window that was told last."""

    segment: str
    value: float
    n: float


@dataclass(slots=True)
class Memory:
    """What rules need of earlier events; bounded by the numbers of series and of open windows.

    Attributes:
        metrics: metrics to remember per segment.
        segments: per (view, version) and window size, the last window's start and, per segment,
            those metrics.
        traffic: per (version, segment) and (size, step), predictions by end of window, as far back
            as one window.
        complete_from: per (version, segment) and (size, step), windows that start here or later
            lie wholly after the first traffic.
    """

    metrics: frozenset[str] = frozenset()
    segments: dict[tuple[str, str, int, int], tuple[int, dict[str, dict[str, list[float]]]]] = (
        field(default_factory=dict)
    )
    traffic: dict[tuple[str, str, int, int], dict[int, int]] = field(default_factory=dict)
    complete_from: dict[tuple[str, str, int, int], int] = field(default_factory=dict)

    def note_segment(self, event: WindowClosed) -> None:
        """Remember the watched metrics of a segment's window."""
        payload = event.payload
        key = (payload.view, payload.model_version, event.config.size, event.config.step)
        start, known = self.segments.get(key, (-1, {}))
        if event.start < start:
            return
        if event.start > start:
            known = {}
        known[payload.segment] = {
            name: [value.value, value.n]
            for name, value in payload.metrics.items()
            if name in self.metrics
        }
        self.segments[key] = (event.start, known)

    def note_traffic(self, event: WindowClosed) -> None:
        """Remember how many predictions a window has; from the first traffic of its series on."""
        key = self._traffic_key(event)
        predictions = event.payload.predictions or 0
        if predictions:
            self.complete_from.setdefault(key, event.end)
        if key in self.complete_from:
            recent = self.traffic.setdefault(key, {})
            recent[event.end] = predictions
            for end in [end for end in recent if end < event.start]:
                del recent[end]

    def segment_values(self, event: WindowClosed, metric: str) -> list[SegmentValue]:
        """Give a metric's values in the segments of an event's window that were told before it."""
        payload = event.payload
        key = (payload.view, payload.model_version, event.config.size, event.config.step)
        start, known = self.segments.get(key, (-1, {}))
        if start != event.start:
            return []
        return [
            SegmentValue(segment, *metrics[metric])
            for segment, metrics in known.items()
            if metric in metrics
        ]

    def is_whole(self, event: WindowClosed) -> bool:
        """Tell whether a window lies wholly after the first traffic of its series."""
        first = self.complete_from.get(self._traffic_key(event))
        return first is not None and event.start >= first

    def predictions_before(self, event: WindowClosed) -> int | None:
        """Count the predictions of the window that ends where this one starts, where known."""
        return self.traffic.get(self._traffic_key(event), {}).get(event.start)

    def _traffic_key(self, event: WindowClosed) -> tuple[str, str, int, int]:
        payload = event.payload
        return (payload.model_version, payload.segment, event.config.size, event.config.step)

    def forget(self, version: str, segment: str) -> None:
        """Drop what is known about a series that is no longer measured."""
        for key in [key for key in self.complete_from if key[:2] == (version, segment)]:
            del self.complete_from[key]
            self.traffic.pop(key, None)
        if segment == ALL:
            for view_key in [key for key in self.segments if key[1] == version]:
                del self.segments[view_key]

    def snapshot(self) -> dict[str, Any]:
        """Plain containers, for :meth:`restore`."""
        return {
            "segments": [[*key, *value] for key, value in self.segments.items()],
            "traffic": [[*key, list(recent.items())] for key, recent in self.traffic.items()],
            "complete_from": [[*key, value] for key, value in self.complete_from.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot."""
        self.segments = {
            (view, version, size, step): (start, dict(known))
            for view, version, size, step, start, known in state["segments"]
        }
        self.traffic = {
            (version, segment, size, step): dict(recent)
            for version, segment, size, step, recent in state["traffic"]
        }
        self.complete_from = {
            (version, segment, size, step): first
            for version, segment, size, step, first in state["complete_from"]
        }


@dataclass(slots=True, frozen=True)
class Context:
    """A model as its rules see it.

    Attributes:
        model: the model with its windows and reference.
        layout: how the cells of its windows are laid out.
        memory: what came before.
    """

    model: LoadedModel
    layout: Layout
    memory: Memory
    _chosen: dict[int | None, tuple[int, int] | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.config.model

    def watches(self, event: WindowClosed, size: int | None) -> bool:
        """Tell whether a window is the one that a rule watches: of the size given or the largest.

        Of several windows of that size it is the one with the smallest hop.
        """
        if size not in self._chosen:
            largest = max(window.size for window in self.model.windows)
            chosen = [(w.size, w.step) for w in self.model.windows if w.size == (size or largest)]
            self._chosen[size] = min(chosen, default=None)
        return self._chosen[size] == (event.config.size, event.config.step)


def series_of(rule: str, event: WindowClosed, subject: str = "") -> Series:
    """Name the series of a window for a rule."""
    return Series(rule, event.payload.model_version, event.payload.segment, subject)


def span_of(event: WindowClosed) -> Span:
    """Name the window of an event."""
    payload = event.payload
    return Span(event.start, event.end, event.config.size, payload.view, payload.revision)


def metric_of(event: WindowClosed, name: str) -> MetricValue | None:
    """Find a quality or operation metric; None where it could not be computed."""
    return event.payload.metrics.get(name) or event.payload.operation.get(name)
