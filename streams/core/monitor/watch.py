"""One model's side of the monitor: its cells, windows, detectors and alert rules."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from streams.config.durations import UNITS_MS
from streams.config.settings import LoadedModel
from streams.core.layout import layout_of
from streams.core.monitor.admission import Admission
from streams.core.monitor.combine import combined
from streams.core.monitor.events import AlertBook, DriftDetected, TimePassed, WindowClosed
from streams.core.monitor.panes import Panes, Series
from streams.core.monitor.publishing import Publisher
from streams.core.monitor.schedule import Schedule
from streams.core.monitor.series import Sentinels
from streams.core.partials import (
    ALL,
    LABEL_TIME,
    Bundle,
    Cell,
    CellKey,
    FloatArray,
    ModelNews,
    add_table,
)
from streams.payloads import Alert, DriftEvent, Window

AlertBookFactory = Callable[[LoadedModel], AlertBook]
Published = Window | DriftEvent | Alert

MOST_VERSIONS = 50
_HOUR_MS = UNITS_MS["h"]
_MOST_STAGED = 64
"""News that may wait to be added, counted in tables per kind."""
_KINDS = ("traffic", "inputs", "quality", "arrivals")


class ModelWatch:
    """Everything that the monitor knows about one model.

    Times are event time in ms. What :meth:`take` and :meth:`pass_time` return depends on the news
    and on the moments alone, never on how far apart the calls were.

    Args:
        model: the model.
        tick_ms: length of a tick.
        alert_book: makes its alert rules.
    """

    def __init__(self, model: LoadedModel, tick_ms: int, alert_book: AlertBookFactory) -> None:
        self._model = model
        self._name = model.config.model
        self._tick = tick_ms
        self._pane = model.pane_ms
        self._largest = max(window.size for window in model.windows)
        self._live_for = max(3 * self._largest, _HOUR_MS)
        self._layout = layout_of(model)
        self._schedule = Schedule(model.windows, model.config, tick_ms)
        self._panes = {kind: Panes(self._pane, self._largest) for kind in _KINDS}
        self._publisher = Publisher(model, self._layout, self._schedule, self._panes)
        self._sentinels = Sentinels(self._name, model.config.detectors)
        self._versions = Admission(MOST_VERSIONS)
        self._segments = {s.name: Admission(s.max_values) for s in model.config.segments}
        self._book = alert_book(model)
        self._staged: list[ModelNews] = []
        self._open: dict[str, Alert] = {}
        self._latest: dict[tuple[str, str, str, str], tuple[int, Window]] = {}
        self._last_prediction = -1
        self._last_label = -1
        self._since = 0
        self._ended = False
        self.next_moment = 0
        """When something is due next."""
        self.mismatches = 0
        """News that was made with another layout, such as before a change of configuration."""
        self.expired = 0
        """Cells whose windows are all final."""

    def begin(self, moment: int) -> None:
        """Begin to watch: nothing before ``moment`` is expected of the model."""
        self._since = moment
        self._plan(moment)

    def end(self) -> None:
        """Note that the record ends here (replay): silence from now on means nothing."""
        self._ended = True

    def _plan(self, moment: int) -> None:
        boundary = (moment // self._pane + 1) * self._pane
        whole = -(-boundary // self._tick) * self._tick
        self.next_moment = min(self._schedule.next_after(moment), whole)

    # -- news ------------------------------------------------------------------------------------

    def take(self, news: Iterable[ModelNews], moment: int) -> list[Published]:
        """Take the news of one tick, in the order of its sources; returns what to publish.

        Args:
            news: the news.
            moment: end of the tick.
        """
        runs: dict[str, list[FloatArray]] = {}
        for one in news:
            if one.layout != self._layout.fingerprint:
                self.mismatches += 1
                continue
            self._staged.append(one)
            self._last_prediction = max(self._last_prediction, one.last_prediction)
            self._last_label = max(self._last_label, one.last_label)
            for name, run in one.runs.items():
                runs.setdefault(name, []).append(run)
        if len(self._staged) >= _MOST_STAGED:
            self._add_staged(moment)
        found: list[Published] = []
        for alarm in self._sentinels.feed(runs, moment):
            found += self._tell_drift(alarm)
        return found

    def _add_staged(self, moment: int) -> None:
        """Add the news that waits to the cells.

        News waits because adding many tables together costs little more than adding one. When it is
        added depends on event time and on the amount of news alone: sums round the same way in
        every run.
        """
        for kind in ("traffic", "inputs", "quality"):
            tables = [t for news in self._staged if (t := getattr(news, kind)) is not None]
            if tables:
                deque(add_table(combined(tables), self._place(kind, moment)), maxlen=0)
        self._staged.clear()

    def _place(self, kind: str, moment: int) -> Callable[[CellKey], Cell | None]:
        def place(key: CellKey) -> Cell | None:
            panes = self._panes["arrivals" if key.view == LABEL_TIME else kind]
            cell = panes.cell(self._series(key, moment), key.pane, moment)
            self.expired += cell is None
            return cell

        return place

    def _series(self, key: CellKey, moment: int) -> Series:
        version = self._versions.admit(key.version, moment)
        if key.segment == ALL:
            return Series(version, ALL)
        name, _, value = key.segment.partition("=")
        admission = self._segments.get(name)
        if admission is None:
            return Series(version, key.segment)
        return Series(version, f"{name}={admission.admit(value, moment)}")

    # -- time ------------------------------------------------------------------------------------

    def pass_time(self, moment: int) -> list[Published]:
        """Do what is due at ``moment``, which is :attr:`next_moment`; returns what to publish."""
        self._add_staged(moment)
        found: list[Published] = []
        for event in self._publisher.publish(self._schedule.due(moment), moment):
            found += self._tell_window(event)
        if moment % self._pane < self._tick:
            found += self._tell_time(moment)
            self._tidy(moment)
        self._plan(moment)
        return found

    def _tidy(self, moment: int) -> None:
        """Let go of what no window needs any more."""
        behind = moment - self._largest - self._tick
        self._panes["traffic"].drop(behind - self._schedule.settle_delay + 1)
        self._panes["inputs"].drop(behind - self._schedule.settle_delay + 1)
        self._panes["quality"].drop(behind - self._schedule.final_delay + 1)
        self._panes["arrivals"].drop(behind + 1)
        for panes in self._panes.values():
            panes.rest(moment - 2 * self._pane)
        live_from = moment - self._live_for
        for admission in (self._versions, *self._segments.values()):
            admission.retire(live_from)
        for key, (start, window) in list(self._latest.items()):
            whole = window.model_version == ALL and window.segment == ALL
            if start < live_from and not whole:
                del self._latest[key]

    # -- telling ---------------------------------------------------------------------------------

    def _tell_window(self, event: WindowClosed) -> Iterator[Published]:
        payload = event.payload
        if event.published:
            key = (payload.model_version, payload.segment, event.config.name, payload.view)
            if event.start >= self._latest.get(key, (event.start,))[0]:
                self._latest[key] = (event.start, payload)
            yield payload
        elif event.start < self._since or self._ended:
            return  # empty only because watching began later, or the record ended earlier
        yield from self._raise(self._book.on_window(event))

    def _tell_drift(self, event: DriftDetected) -> Iterator[Published]:
        yield event.payload
        yield from self._raise(self._book.on_drift(event))

    def _tell_time(self, moment: int) -> Iterator[Published]:
        if self._ended:
            return
        event = TimePassed(self._name, moment, self._last_prediction, self._last_label, self._since)
        yield from self._raise(self._book.on_time(event))

    def _raise(self, alerts: Iterable[Alert]) -> Iterator[Alert]:
        for alert in alerts:
            if alert.status == "resolved":
                self._open.pop(alert.fingerprint, None)
            else:
                self._open[alert.fingerprint] = alert
            yield alert

    # -- live view and state ---------------------------------------------------------------------

    def latest(self) -> list[Window]:
        """The newest window of every series, size and view that is alive."""
        return [window for _, (_, window) in sorted(self._latest.items())]

    def open_alerts(self) -> list[Alert]:
        """The newest revision of each open alert."""
        return list(self._open.values())

    def figures(self) -> dict[str, int]:
        """Counts for the pipeline's own health."""
        return {
            "news_mismatched": self.mismatches,
            "cells_expired": self.expired,
            "cells": sum(len(panes) for panes in self._panes.values()),
            "detector_refusals": self._sentinels.refused,
            "series_refused": self._versions.refused
            + sum(admission.refused for admission in self._segments.values()),
            "alerts_open": len(self._open),
        }

    def snapshot(self) -> dict[str, Any]:
        """Plain containers."""
        return {
            "layout": self._layout.fingerprint,
            "staged": _pack(self._staged),
            "panes": {kind: panes.snapshot() for kind, panes in self._panes.items()},
            "records": self._publisher.snapshot(),
            "sentinels": self._sentinels.snapshot(),
            "versions": self._versions.snapshot(),
            "segments": {name: a.snapshot() for name, a in self._segments.items()},
            "book": self._book.snapshot(),
            "open": msgspec.to_builtins(list(self._open.values())),
            "latest": [
                [list(key), start, msgspec.to_builtins(window)]
                for key, (start, window) in self._latest.items()
            ],
            "last": [self._last_prediction, self._last_label],
            "since": self._since,
            "next": self.next_moment,
            "counts": [self.mismatches, self.expired],
        }

    def restore(self, state: Mapping[str, Any], moment: int) -> None:
        """Take the state that :meth:`snapshot` gave at ``moment``.

        Cells of another layout cannot be added to: they and their windows' revisions are dropped.
        """
        if state["layout"] == self._layout.fingerprint:
            for kind, panes in self._panes.items():
                panes.restore(state["panes"][kind])
            self._publisher.restore(state["records"])
            self._staged = _unpack(state["staged"])
        self._sentinels.restore(state["sentinels"])
        self._versions.restore(state["versions"])
        for name, admission in self._segments.items():
            admission.restore(state["segments"].get(name, ()))
        self._book.restore(state["book"])
        for alert in msgspec.convert(state["open"], list[Alert]):
            self._open[alert.fingerprint] = alert
        for key, start, window in state["latest"]:
            version, segment, name, view = key
            self._latest[version, segment, name, view] = start, msgspec.convert(window, Window)
        self._last_prediction, self._last_label = state["last"]
        self._since = state["since"]
        self.mismatches, self.expired = state["counts"]
        self._plan(moment)


def _pack(news: Iterable[ModelNews]) -> bytes:
    """News in the form in which it travels."""
    return Bundle(0, 1, 1, 0, 1, [(index, {"": one}) for index, one in enumerate(news)]).encode()


def _unpack(packed: bytes) -> list[ModelNews]:
    return [models[""] for _, models in Bundle.decode(packed).ticks]
