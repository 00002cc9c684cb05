"""The monitor: partials in; windows, drift events and alerts out."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from streams.config.model import unknown_model
from streams.config.settings import LoadedModel, Settings
from streams.core.monitor.alignment import NEVER, Alignment, News
from streams.core.monitor.snapshot import VERSION, Marker, deletions, join, split
from streams.core.monitor.watch import AlertBookFactory, ModelWatch, Published
from streams.core.partials import Bundle
from streams.core.processor import Checkpoint, Saved, StateRecord
from streams.events.partitioner import partition_for
from streams.payloads import Alert, DriftEvent, Window, encode
from streams.wire import Chunk, Output

log = logging.getLogger(__name__)

SOURCE = "partials"
_COUNTED = {Window: "windows_published", Alert: "alert_events", DriftEvent: "drift_events"}
_LEAST_LOG = 1_000_000
_MOST_LOG = 64_000_000


@dataclass(slots=True, frozen=True)
class Live:
    """What the monitor knows right now.

    Attributes:
        windows: the newest window of every series, size and view that is alive.
        alerts: the newest revision of each open alert.
        status: figures as :meth:`MonitorProcessor.status` gives them.
    """

    windows: list[Window]
    alerts: list[Alert]
    status: Mapping[str, float]


class MonitorProcessor:
    """The monitor's work for one partition of the partials topic.

    It is responsible for the models whose name hashes to its partition. All time is event time,
    taken from the bundles. What it publishes depends on what the bundles say, not on their order
    across sources, on repeats, or on the moment of a restart.

    State is a snapshot and the log since: the partials themselves. A checkpoint writes a new
    snapshot once the log has grown as large as the last snapshot (at least a megabyte, at most 64),
    so that writing state costs no more than reading partials. After a restart the log is read
    again, and what it publishes up to the marker's position is known to be out.

    Args:
        settings: the pipeline and its models.
        partition: partition of the partials topic.
        alert_book: makes the alert rules of a model.
    """

    def __init__(self, settings: Settings, partition: int, alert_book: AlertBookFactory) -> None:
        partitions = settings.pipeline.topics.monitor_partitions
        self._tick = settings.tick_ms
        self._watches = {
            name: ModelWatch(model, settings.tick_ms, alert_book)
            for name, model in sorted(settings.models.items())
            if partition_for(name.encode(), partitions) == partition
        }
        self._settings = settings
        self._alert_book = alert_book
        self._configured = len(self._watches)
        self._alignment = Alignment(settings.tick_ms)
        self._begun = False
        self._outputs: list[Output] = []
        self._first: int | None = None
        self._position: int | None = None
        self._saved_position: int | None = None
        self._published_up_to = -1
        self._snapshot = Marker(VERSION, 0, 0, 0, 0, 0)
        self._logged = 0
        self._counts: dict[str, int] = {
            "bundles": 0,
            "rejected": 0,
            "news_unknown": 0,
            **dict.fromkeys(_COUNTED.values(), 0),
        }

    # -- the processor protocol ------------------------------------------------------------------

    def restore(self, saved: Saved) -> None:
        """Take the state of a checkpoint; only on a fresh processor, before the first step.

        Raises:
            ValueError: the state is incomplete or of another release.
        """
        marker = Marker.decode(saved.marker)
        self._snapshot = marker
        self._first = self._position = self._saved_position = marker.taken_at
        self._published_up_to = marker.position
        if not marker.number:
            return
        state = join(marker, saved.records)
        self._alignment.restore(state["alignment"])
        self._begun = state["begun"]
        self._counts |= state["counts"]
        for name in state["models"]:
            self._admit(name)
        for name, watch in self._watches.items():
            if name in state["models"]:
                watch.restore(state["models"][name], state["moment"])
            elif self._begun:
                watch.begin(state["moment"])

    def positions(self) -> Mapping[str, int]:
        """Offset to read from next; empty on a fresh processor."""
        return {} if self._position is None else {SOURCE: self._position}

    def step(self, chunk: Chunk, now_ms: int) -> None:  # noqa: ARG002 - time comes from bundles
        """Take bundles; a record that is none is counted and skipped."""
        for offset, value in zip(chunk.offsets, chunk.values, strict=True):
            if self._first is None:
                self._first = offset
            for payload in self._read(value or b""):
                self._counts[_COUNTED[type(payload)]] += 1
                # What an earlier run published before its last checkpoint is out already.
                if offset >= self._published_up_to:
                    self._outputs.append(_output(payload))
            self._position = offset + 1
            self._logged += len(value or b"")

    def advance(self, now_ms: int, behind: Collection[str] = ()) -> None:
        """Nothing: a source that fell silent is told of by its join, in bundles."""

    def paused(self) -> frozenset[str]:
        """Nothing: there is one source."""
        return frozenset()

    def awaited(self) -> bool:
        """Whether people wait for what the next checkpoint makes visible: windows and alerts."""
        return bool(self._outputs)

    def checkpoint(self, now_ms: int) -> Checkpoint | None:  # noqa: ARG002 - time is in bundles
        """Everything since the last checkpoint; None when nothing was read."""
        position = self._position
        if position is None or self._first is None or position == self._saved_position:
            return None
        records = self._take_snapshot(position) if self._snapshot_is_due() else []
        last = self._snapshot
        marker = Marker(
            VERSION,
            last.number,
            last.parts,
            last.taken_at if last.number else self._first,
            max(position, self._published_up_to),
            last.size,
        )
        outputs, self._outputs = self._outputs, []
        self._saved_position = position
        return Checkpoint({SOURCE: position}, outputs, records, marker.encode())

    def end(self) -> None:
        """Note that the record ends here (replay): silence from now on means nothing."""
        for watch in self._watches.values():
            watch.end()

    def status(self) -> Mapping[str, float]:
        """Figures for the pipeline's own health, by metric name without prefix."""
        figures: dict[str, float] = dict(self._counts)
        figures["repeats"] = self._alignment.repeats
        figures["gaps"] = self._alignment.gaps
        figures["restarts"] = self._alignment.restarts
        figures["bundles_waiting"] = self._alignment.waiting()
        figures["snapshot_bytes"] = self._snapshot.size
        figures["models"] = len(self._watches)
        if self._alignment.done > NEVER:
            figures["event_time_seconds"] = self._alignment.done / 1000
        for watch in self._watches.values():
            for name, count in watch.figures().items():
                figures[name] = figures.get(name, 0) + count
        for name, balance in self._alignment.books().items():
            figures[f"book_{name}"] = balance
        return figures

    def latest(self) -> Live:
        """What the live view shows."""
        watches = self._watches.values()
        return Live(
            [window for watch in watches for window in watch.latest()],
            [alert for watch in watches for alert in watch.open_alerts()],
            self.status(),
        )

    # -- bundles ---------------------------------------------------------------------------------

    def _read(self, value: bytes) -> list[Published]:
        try:
            bundle = Bundle.decode(value)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            self._counts["rejected"] += 1
            log.warning("a record of the partials topic is unreadable and skipped: %s", error)
            return []
        gaps = self._alignment.gaps
        if not self._alignment.offer(bundle, value):
            return []
        self._counts["bundles"] += 1
        if self._alignment.gaps != gaps:
            log.error("bundles of source %d are missing before %d", bundle.source, bundle.sequence)
        found: list[Published] = []
        for moment, news in self._alignment.take():
            found += self._pass_time(moment - 1)
            found += self._take(news, moment)
        if self._begun:
            found += self._pass_time(self._alignment.done)
        return found

    def _take(self, news: list[News], moment: int) -> list[Published]:
        if not self._begun:
            # The first news of all is the same in every order of arrival: it begins the watch.
            self._begun = True
            for watch in self._watches.values():
                watch.begin(moment - self._tick)
        found: list[Published] = []
        for name in sorted({name for models in news for name in models}):
            if name not in self._watches:
                if not self._admit(name):
                    self._counts["news_unknown"] += 1
                    continue
                self._watches[name].begin(moment - self._tick)
            found += self._watches[name].take(
                [models[name] for models in news if name in models], moment
            )
        return found

    def _admit(self, name: str) -> bool:
        """Watch a model that no file describes, if the configuration lets such models in."""
        if name in self._watches:
            return True
        pipeline = self._settings.pipeline
        accepted = len(self._watches) - self._configured
        if (
            pipeline.processing.unknown_models != "accept"
            or accepted >= pipeline.limits.max_unknown_models
        ):
            return False
        model = LoadedModel(unknown_model(name), pipeline.windows)
        self._watches[name] = ModelWatch(model, self._tick, self._alert_book)
        return True

    def _pass_time(self, until: int) -> list[Published]:
        found: list[Published] = []
        if not self._begun or not self._watches:
            return found
        while (moment := min(w.next_moment for w in self._watches.values())) <= until:
            for watch in self._watches.values():
                if watch.next_moment == moment:
                    found += watch.pass_time(moment)
        return found

    # -- state -----------------------------------------------------------------------------------

    def _snapshot_is_due(self) -> bool:
        return self._logged >= min(max(self._snapshot.size, _LEAST_LOG), _MOST_LOG)

    def _take_snapshot(self, position: int) -> list[StateRecord]:
        last = self._snapshot
        state = {
            "alignment": self._alignment.snapshot(),
            "begun": self._begun,
            "moment": self._alignment.done,
            "counts": self._counts,
            "models": {name: watch.snapshot() for name, watch in self._watches.items()},
        }
        records, size = split(last.number + 1, state)
        self._snapshot = Marker(VERSION, last.number + 1, len(records), position, position, size)
        self._logged = 0
        return [*records, *deletions(last.number, last.parts)]


def _output(payload: Published) -> Output:
    identity = (("driftline.id", payload.id.encode()),)
    if isinstance(payload, Alert):
        return Output("alerts", payload.fingerprint.encode(), encode(payload), identity)
    return Output("metrics", payload.model.encode(), encode(payload), identity)
