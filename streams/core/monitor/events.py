"""What the monitor tells a model's alert rules, and what it asks of them.

Events come in the order of event time and are the same after any replay, so rules may keep state as
long as :meth:`AlertBook.snapshot` holds all of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from streams.config.model import DetectorConfig
from streams.config.windows import WindowConfig
from streams.core.partials import Cell
from streams.payloads import Alert, DriftEvent, Window


@dataclass(slots=True, frozen=True)
class WindowClosed:
    """A window was computed: for the first time, again with more truth, or for the last time.

    Of one window the segments are told first, then the versions, then everything together. A window
    without traffic is told too (once, for all versions and segments together, view
    "prediction_time", ``predictions`` 0), although it is not published.

    Attributes:
        payload: what is published, with version, segment and view.
        config: the window's size and hop.
        start: first moment of the window, ms.
        end: first moment after it, ms.
        now: event time, ms.
        published: whether the payload went to the metrics topic.
        traffic: merged traffic cell; None when nothing happened or predictions can no longer be
            late, in which case the payload still holds what was measured.
        inputs: merged inputs cell; None likewise, and for segments and view "label_time".
        quality: merged quality cell; None without truth.
    """

    payload: Window
    config: WindowConfig
    start: int
    end: int
    now: int
    published: bool
    traffic: Cell | None = None
    inputs: Cell | None = None
    quality: Cell | None = None


@dataclass(slots=True, frozen=True)
class DriftDetected:
    """A sequential detector raised an alarm.

    Attributes:
        payload: what is published.
        config: the detector.
        now: event time of the alarm, ms.
    """

    payload: DriftEvent
    config: DetectorConfig
    now: int


@dataclass(slots=True, frozen=True)
class TimePassed:
    """Event time moved on; told at every multiple of the model's pane length.

    At one moment detectors' alarms are told first, then windows, then time.

    Attributes:
        model: the model.
        now: event time, ms.
        last_prediction: newest prediction timestamp, ms; -1 when none was ever seen.
        last_label: newest truth timestamp, ms; -1 when none was ever seen.
        watched_since: event time at which watching began, ms.
    """

    model: str
    now: int
    last_prediction: int
    last_label: int
    watched_since: int


class AlertBook(Protocol):
    """All alert rules of one model, with their state."""

    def on_window(self, event: WindowClosed) -> list[Alert]:
        """Judge a window; returns alerts to publish, in order."""

    def on_drift(self, event: DriftDetected) -> list[Alert]:
        """Judge a detector's alarm; returns alerts to publish, in order."""

    def on_time(self, event: TimePassed) -> list[Alert]:
        """Judge what did not happen; returns alerts to publish, in order."""

    def snapshot(self) -> Mapping[str, Any]:
        """The whole state as plain containers that survive MessagePack."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the state that :meth:`snapshot` gave; only on a fresh book."""
