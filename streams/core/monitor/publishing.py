"""Which windows of which series are published when, and as which revision."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from streams.config.settings import LoadedModel
from streams.config.windows import WindowConfig
from streams.core.cell import Cell, merged
from streams.core.layout import Layout
from streams.core.monitor.events import WindowClosed
from streams.core.monitor.panes import Panes, Series
from streams.core.monitor.results import Content, Meter, Traffic
from streams.core.monitor.schedule import Due, Schedule, Stage
from streams.core.partials import ALL
from streams.payloads import View, Window, join_id, rfc3339, seconds

WHOLE = Series(ALL, ALL)
_BY_PREDICTION: View = "prediction_time"
_BY_LABEL: View = "label_time"


class Record(msgspec.Struct):
    """What was published of one series of one window by prediction time.

    Attributes:
        revision: newest revision.
        moment: event time at which it was computed, ms.
        digest: digest of its content.
        traffic: what was measured of the predictions; kept when their cells are gone.
    """

    revision: int
    moment: int
    digest: bytes
    traffic: Traffic


class Cells:
    """The merged cells of one window, by series; each merged once, when it is first asked for.

    A version's cell is the merge of its panes, the roll-up over versions is the merge of the
    versions' cells in the order of their names.
    """

    def __init__(self, panes: Panes, start: int, end: int) -> None:
        self._panes = panes
        self._range = (start, end)
        self._cells: dict[Series, Cell | None] = {}
        self.touched = panes.series_between(start, end)
        """By series, roll-ups included, the moment of the last news."""
        self._versions: dict[str, list[str]] = {}
        for series, moment in sorted(self.touched.items()):
            self._versions.setdefault(series.segment, []).append(series.version)
            roll_up = Series(ALL, series.segment)
            self.touched[roll_up] = max(moment, self.touched.get(roll_up, moment))

    def get(self, series: Series) -> Cell | None:
        """The merged cell; None without any."""
        if series not in self._cells:
            self._cells[series] = self._merge(series)
        return self._cells[series]

    def _merge(self, series: Series) -> Cell | None:
        if series.version != ALL:
            return self._panes.merged(series, *self._range)
        parts = [
            self.get(Series(v, series.segment)) for v in self._versions.get(series.segment, [])
        ]
        return parts[0] if len(parts) == 1 else merged(parts)


class Publisher:
    """Measures windows of one model when they are due.

    By prediction time a series is published when it first has content, again when its content
    changed and a revision is due, and a last time, marked final, whether it changed or not. By
    label time it is published once.

    Args:
        model: the model.
        layout: how its cells are laid out.
        schedule: when its windows are due.
        panes: its cells: "traffic", "inputs" and "quality" by prediction time, "arrivals" by label
            time.
    """

    def __init__(
        self, model: LoadedModel, layout: Layout, schedule: Schedule, panes: Mapping[str, Panes]
    ) -> None:
        self._model = model
        self._schedule = schedule
        self._panes = panes
        self._meter = Meter(model, layout)
        self._names = [window.name for window in model.windows]
        self._records: dict[tuple[str, int], dict[Series, Record]] = {}
        self._silent: dict[int, Content] = {}
        """What is measured where nothing happened, by size of the window."""

    def publish(self, dues: Iterable[Due], moment: int) -> Iterator[WindowClosed]:
        """Measure windows whose stages are due.

        Of each, segments come first, then versions, then everything.
        """
        # Idle time may pass by the month: nothing held, nothing to revise.
        idle = not self._records and not any(self._panes.values())
        for due in dues:
            window = self._schedule.windows[due.window]
            if idle:
                if due.stage is Stage.FIRST:
                    yield self._silence(due, window, moment)
            elif due.stage is Stage.ARRIVED:
                yield from self._arrived(due, window, moment)
            else:
                yield from self._predicted(due, window, moment)

    def _arrived(self, due: Due, window: WindowConfig, moment: int) -> Iterator[WindowClosed]:
        arrivals = Cells(self._panes["arrivals"], due.start, due.end)
        contents: dict[Series, Content] = {}
        for series in _in_order(arrivals.touched):
            cell = arrivals.get(series)
            content = _twin(series, arrivals.touched, contents) or self._meter.content(
                window.size, cell, whole=series.segment == ALL
            )
            contents[series] = content
            payload = self._payload(series, _BY_LABEL, due, window, moment, 0, True, content)
            yield WindowClosed(
                payload, window, due.start, due.end, moment, published=True, quality=cell
            )

    def _predicted(self, due: Due, window: WindowConfig, moment: int) -> Iterator[WindowClosed]:
        key = (self._names[due.window], due.start)
        records = self._records.get(key, {})
        final = due.stage is Stage.FINAL
        settled = due.stage is not Stage.SETTLE and moment > due.end + self._schedule.settle_delay
        quality = Cells(self._panes["quality"], due.start, due.end)
        if settled:
            traffic = inputs = None
            touched = dict(quality.touched)
        else:
            traffic = Cells(self._panes["traffic"], due.start, due.end)
            inputs = Cells(self._panes["inputs"], due.start, due.end)
            touched = _latest(quality.touched, traffic.touched, inputs.touched)
        contents: dict[Series, Content] = {}
        known = {**touched, **records}
        for series in _in_order(known if final else touched):
            record = records.get(series)
            if record is not None and not final and touched[series] <= record.moment:
                continue
            traffic_cell = None if traffic is None else traffic.get(series)
            inputs_cell = None if inputs is None else inputs.get(series)
            quality_cell = quality.get(series)
            if record is not None and traffic is None:
                measured = record.traffic
            else:
                measured = self._meter.traffic(traffic_cell, window.size)
            content = _twin(series, known, contents) or self._meter.content(
                window.size,
                quality_cell,
                measured,
                traffic_cell,
                inputs_cell,
                whole=series.segment == ALL,
            )
            contents[series] = content
            digest = _digest(content)
            if record is not None and not final and digest == record.digest:
                continue
            revision = 0 if record is None else record.revision + 1
            records[series] = Record(revision, moment, digest, measured)
            payload = self._payload(
                series, _BY_PREDICTION, due, window, moment, revision, final, content
            )
            yield WindowClosed(
                payload,
                window,
                due.start,
                due.end,
                moment,
                published=True,
                traffic=traffic_cell,
                inputs=inputs_cell,
                quality=quality_cell,
            )
        if final:
            self._records.pop(key, None)
        elif records:
            self._records[key] = records
        if due.stage is Stage.FIRST and WHOLE not in touched:
            yield self._silence(due, window, moment)

    def _silence(self, due: Due, window: WindowConfig, moment: int) -> WindowClosed:
        content = self._silent.get(window.size)
        if content is None:
            measured = self._meter.traffic(None, window.size)
            content = self._meter.content(window.size, None, measured, whole=True)
            self._silent[window.size] = content
        payload = self._payload(WHOLE, _BY_PREDICTION, due, window, moment, 0, False, content)
        return WindowClosed(payload, window, due.start, due.end, moment, published=False)

    def _payload(
        self,
        series: Series,
        view: View,
        due: Due,
        window: WindowConfig,
        moment: int,
        revision: int,
        final: bool,  # noqa: FBT001 - a field among fields
        content: Content,
    ) -> Window:
        name = self._model.config.model
        size = self._names[due.window]
        parts = [name, *series, view, size, str(due.start), str(revision)]
        return Window(
            id=join_id(parts),
            model=name,
            model_version=series.version,
            segment=series.segment,
            view=view,
            start=rfc3339(due.start),
            end=rfc3339(due.end),
            size_s=seconds(window.size),
            hop_s=seconds(window.step),
            revision=revision,
            final=final,
            published_at_event_time=rfc3339(moment),
            **{field: getattr(content, field) for field in Content.__struct_fields__},
        )

    def snapshot(self) -> list[Any]:
        """Plain containers."""
        return [
            [name, start, [[*series, msgspec.to_builtins(record)] for series, record in r.items()]]
            for (name, start), r in self._records.items()
        ]

    def restore(self, state: list[Any]) -> None:
        """Take the state that :meth:`snapshot` gave; windows no longer configured are dropped."""
        known = {window.name for window in self._schedule.windows}
        for name, start, records in state:
            if name in known:
                self._records[name, start] = {
                    Series(version, segment): msgspec.convert(record, Record)
                    for version, segment, record in records
                }


def _in_order(series: Mapping[Series, object]) -> list[Series]:
    """Segments before the whole model, versions before their roll-up."""
    return sorted(series, key=lambda s: (s.segment == ALL, s.segment, s.version == ALL, s.version))


def _twin(
    series: Series, known: Iterable[Series], contents: Mapping[Series, Content]
) -> Content | None:
    """The content of a roll-up over a single version is that version's."""
    if series.version != ALL:
        return None
    versions = [s for s in known if s.segment == series.segment and s.version != ALL]
    return contents.get(versions[0]) if len(versions) == 1 else None


def _latest(*touched: Mapping[Series, int]) -> dict[Series, int]:
    found: dict[Series, int] = {}
    for moments in touched:
        for series, moment in moments.items():
            found[series] = max(moment, found.get(series, moment))
    return found


def _digest(content: Content) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(content), digest_size=8).digest()
