"""Raw rows, and the bundles that a join would make of them: by brute force, row by row."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from detectors.sketches.log_buckets import log_keys
from streams.config import LoadedModel, ModelConfig, PipelineConfig, Settings
from streams.core.alerts.book import RuleBook
from streams.core.layout import Layout, layout_of
from streams.core.monitor.events import AlertBook, DriftDetected, TimePassed, WindowClosed
from streams.core.monitor.processor import MonitorProcessor
from streams.core.partials import (
    Bundle,
    Cell,
    CellKey,
    CellTable,
    ModelNews,
    SparseColumn,
    add_table,
)
from streams.payloads import Alert
from streams.profile.model import ReferenceProfile
from streams.wire import Chunk

START = 1_800_000_000_000 // 3_600_000 * 3_600_000
"""A full hour."""
MINUTE = 60_000
EPS = 1e-15


@dataclass
class Row:
    """A prediction and, where it has come, its truth."""

    ts: int
    version: str = "v1"
    tags: dict[str, str] = field(default_factory=dict)
    score: Any = None
    predicted: float = 0.0
    numeric: dict[str, float | None] = field(default_factory=dict)
    categorical: dict[str, str | None] = field(default_factory=dict)
    latency: float | None = None
    error: bool = False
    user: str | None = None
    source: int = 0
    actual: Any = None
    weight: float = 1.0
    arrival: int | None = None
    events: list[tuple[str, float]] = field(default_factory=list)
    seen: int | None = None


class Stats:
    """Statistics of one cell under construction."""

    def __init__(self) -> None:
        self.dense: dict[str, np.ndarray] = {}
        self.sparse: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        self.values: dict[str, list[Any]] = defaultdict(list)
        self.sketches: dict[str, Any] = {}

    def add(self, name: str, width: int, index: int, amount: float = 1.0) -> None:
        self.dense.setdefault(name, np.zeros(width))[index] += amount

    def moments(self, name: str) -> np.ndarray:
        rows = np.array(self.values[name], dtype=float).reshape(-1, 2)
        x, w = rows[:, 0], rows[:, 1]
        if not w.sum():
            return np.zeros(3)
        mean = float((x * w).sum() / w.sum())
        return np.array([w.sum(), mean, float((w * (x - mean) ** 2).sum())])


def settings_of(
    model: Mapping[str, Any],
    pipeline: Mapping[str, Any] | None = None,
    reference: ReferenceProfile | None = None,
) -> Settings:
    """Settings of a pipeline with one model or, given as a list under "models", several."""
    models = [ModelConfig(**m) for m in model.get("models", [model])]
    return Settings.build(
        PipelineConfig(
            kafka={"bootstrap_servers": "localhost:9092"},
            models=["m.yaml"],
            **(pipeline or {}),
        ),
        models,
        {} if reference is None else {m.model: reference for m in models},
    )


class World:
    """One model's rows and what the join makes of them."""

    def __init__(self, settings: Settings, name: str | None = None) -> None:
        self.settings = settings
        self.model = settings.models[name or next(iter(settings.models))]
        self.config = self.model.config
        self.layout: Layout = layout_of(self.model)
        self.tick = settings.tick_ms

    # -- cells -----------------------------------------------------------------------------------

    def segments(self, row: Row) -> list[str]:
        return ["*", *(f"{s.name}={row.tags.get(s.by[0], '')}" for s in self.config.segments)]

    def _keys(self, row: Row, view: str, moment: int, segments: Sequence[str]) -> list[CellKey]:
        pane = moment // self.layout.pane * self.layout.pane
        return [CellKey(view, row.version, segment, pane) for segment in segments]

    def traffic(self, rows: Iterable[Row]) -> CellTable | None:
        cells: dict[CellKey, Stats] = defaultdict(Stats)
        for row in rows:
            for key in self._keys(row, "prediction_time", row.ts, self.segments(row)):
                self._traffic(cells[key], row)
        return self._table(cells, ["prediction"] if self.layout.task == "regression" else [])

    def _traffic(self, cell: Stats, row: Row) -> None:
        lay = self.layout
        cell.add("counts", 3, 0)
        cell.add("counts", 3, 1, float(row.error))
        cell.add("counts", 3, 2, float(row.score is not None))
        if lay.task in {"binary", "multiclass"}:
            cell.add("classes", len(lay.classes), int(row.predicted))
        if lay.task == "binary" and row.score is not None:
            cell.sparse["score"][self.bin(row.score)] += 1
        if lay.task == "regression":
            cell.sparse["prediction"][int(log_keys(np.array([row.predicted]))[0])] += 1
            cell.values["prediction"].append((row.predicted, 1.0))
            if lay.prediction_bins is not None:
                at = int(np.searchsorted(lay.prediction_bins.edges, row.predicted, "right"))
                cell.add("prediction_bins", len(lay.prediction_bins), at)
        if row.latency is not None:
            cell.sparse["latency"][int(log_keys(np.array([row.latency]))[0])] += 1
        if row.user is not None:
            cell.sketches.setdefault("distinct", HyperLogLog()).update_many([row.user])

    def bin(self, score: float) -> int:
        return int(np.searchsorted(self.layout.score_bins.edges, score, side="right"))

    def inputs(self, rows: Iterable[Row]) -> CellTable | None:
        cells: dict[CellKey, Stats] = defaultdict(Stats)
        for row in rows:
            for key in self._keys(row, "prediction_time", row.ts, ["*"]):
                self._inputs(cells[key], row)
        if not self.layout.numeric and not self.layout.categorical:
            return None
        table = self._table(cells, [])
        if table is not None and self.layout.numeric:
            table.moments["numeric"] = np.array(
                [
                    [cell.moments(f"numeric:{name}") for name in self.layout.numeric]
                    for cell in cells.values()
                ]
            )
        return table

    def _inputs(self, cell: Stats, row: Row) -> None:
        lay = self.layout
        for index, name in enumerate(lay.numeric):
            value = row.numeric.get(name)
            width = 4 * len(lay.numeric)
            cell.add("numeric", width, 4 * index + (value is None))
            if value is None:
                continue
            low, high = lay.ranges[index]
            cell.add("numeric", width, 4 * index + 3, float(not low <= value <= high))
            cell.values[f"numeric:{name}"].append((value, 1.0))
            bucket = int(log_keys(np.array([value]))[0])
            cell.sparse["quantiles"][index * 2**16 + 2**15 + bucket] += 1
            bins = lay.feature_bins[index]
            if bins is not None:
                at = lay.bin_offsets[index] + int(np.searchsorted(bins.edges, value, "right"))
                cell.add("bins", lay.bin_offsets[-1], at)
        for index, name in enumerate(lay.categorical):
            text = row.categorical.get(name)
            width = 4 * len(lay.categorical)
            cell.add("categorical", width, 4 * index + (text is None))
            if text is None:
                continue
            known = lay.categories[index]
            at = known.index(text) if text in known else len(known)
            cell.add("categories", lay.category_offsets[-1], lay.category_offsets[index] + at)
            cell.add("categorical", width, 4 * index + 3, float(text not in known))
            cell.sketches.setdefault(f"frequent:{name}", FrequentItems()).update(text)
            cell.sketches.setdefault(f"distinct:{name}", HyperLogLog()).update_many([text])

    def quality(self, rows: Iterable[Row]) -> CellTable | None:
        cells: dict[CellKey, Stats] = defaultdict(Stats)
        for row in rows:
            assert row.arrival is not None
            keys = [
                *self._keys(row, "prediction_time", row.ts, self.segments(row)),
                *self._keys(row, "label_time", row.arrival, self.segments(row)),
            ]
            for key in keys:
                self._quality(cells[key], row)
        return self._table(cells, ["actual"] if self.layout.task == "regression" else [])

    def _quality(self, cell: Stats, row: Row) -> None:
        w = row.weight
        cell.add("labels", 4, 0)
        cell.add("labels", 4, 1, w)
        cell.sparse["delay"][int(log_keys(np.array([(row.arrival - row.ts) / 1000]))[0])] += 1
        getattr(self, f"_{self.layout.task}")(cell, row, w)

    def _binary(self, cell: Stats, row: Row, w: float) -> None:
        lay = self.layout
        positive, called = int(row.actual == lay.positive), int(row.predicted == lay.positive)
        cell.add("confusion", 4, {(1, 1): 0, (0, 1): 1, (0, 0): 2, (1, 0): 3}[positive, called], w)
        cell.add("actual", 2, row.actual, w)
        if row.score is not None:
            p = min(max(row.score, EPS), 1 - EPS)
            loss = -np.log(p) if positive else -np.log(1 - p)
            for index, amount in enumerate([w, w * loss, w * (row.score - positive) ** 2]):
                cell.add("loss", 3, index, amount)
            ten = 3 * min(int(row.score * 10), 9)
            for index, amount in enumerate([w, w * positive, w * row.score]):
                cell.add("calibration", 30, ten + index, amount)
            cell.sparse["score"][2 * self.bin(row.score) + positive] += w

    def _multiclass(self, cell: Stats, row: Row, w: float) -> None:
        k = len(self.layout.classes)
        cell.sparse["confusion"][row.actual * k + int(row.predicted)] += w
        cell.add("actual", k, row.actual, w)
        if row.score is not None:
            cell.add("loss", 2, 0, w)
            cell.add("loss", 2, 1, -w * np.log(max(row.score[row.actual], EPS)))
            for c in range(k):
                at = c * len(self.layout.score_bins) + self.bin(row.score[c])
                cell.sparse["class_score"][2 * at + int(row.actual == c)] += w

    def _regression(self, cell: Stats, row: Row, w: float) -> None:
        e, y = row.predicted - row.actual, row.actual
        sums = [w, w * e, w * abs(e), w * e * e, w * (y != 0), w * abs(e / y) if y else 0.0]
        for index, amount in enumerate(sums):
            cell.add("errors", 6, index, amount)
        cell.values["actual"].append((y, w))
        cell.sparse["error"][int(log_keys(np.array([e]))[0])] += w
        cell.sparse["absolute_error"][int(log_keys(np.array([abs(e)]))[0])] += w
        if self.layout.label_bins is not None:
            at = int(np.searchsorted(self.layout.label_bins.edges, y, "right"))
            cell.add("label_bins", len(self.layout.label_bins), at, w)

    def _ranking(self, cell: Stats, row: Row, w: float) -> None:
        width = 2 + 3 * len(self.layout.top_k)
        for index, amount in enumerate([1.0, *row.actual]):
            cell.add("ranking", width, index, w * amount)

    def _outcome(self, cell: Stats, row: Row, w: float) -> None:
        names = self.layout.outcomes
        width = 3 * len(names) + 1
        cell.add("outcomes", width, width - 1, float(bool(row.events)))
        for index, name in enumerate(names):
            values = [value for event, value in row.events if event == name]
            cell.add("outcomes", width, 3 * index, float(bool(values)))
            cell.add("outcomes", width, 3 * index + 1, len(values))
            cell.add("outcomes", width, 3 * index + 2, sum(values))

    def _table(self, cells: dict[CellKey, Stats], moments: list[str]) -> CellTable | None:
        if not cells:
            return None
        table = CellTable(list(cells))
        stats = list(cells.values())
        for name in sorted({name for cell in stats for name in cell.dense}):
            width = max(len(cell.dense[name]) for cell in stats if name in cell.dense)
            table.dense[name] = np.array([c.dense.get(name, np.zeros(width)) for c in stats])
        for name in sorted({name for cell in stats for name in cell.sparse}):
            triples = [
                (index, key, cell.sparse[name][key])
                for index, cell in enumerate(stats)
                for key in sorted(cell.sparse[name])
            ]
            columns = list(zip(*triples, strict=True))
            table.sparse[name] = SparseColumn(
                np.array(columns[0], dtype=np.int64),
                np.array(columns[1], dtype=np.int64),
                np.array(columns[2], dtype=float),
            )
        for name in sorted({name for cell in stats for name in cell.sketches}):
            table.sketches[name] = [
                c.sketches[name].to_bytes() if name in c.sketches else None for c in stats
            ]
        for name in moments:
            table.moments[name] = np.array([cell.moments(name) for cell in stats])
        return table

    # -- bundles ---------------------------------------------------------------------------------

    def news(self, rows: Sequence[Row], source: int) -> dict[int, dict[str, ModelNews]]:
        """News by tick of one source: of when predictions were seen and when truth arrived."""
        predicted: dict[int, list[Row]] = defaultdict(list)
        labelled: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            if row.source != source:
                continue
            predicted[(row.seen or row.ts) // self.tick].append(row)
            if row.arrival is not None:
                labelled[row.arrival // self.tick].append(row)
        found = {}
        for tick in sorted({*predicted, *labelled}):
            here, truth = predicted.get(tick, []), labelled.get(tick, [])
            runs = {}
            if here and here[0].score is not None and np.ndim(here[0].score) == 0:
                runs["score"] = np.array([row.score for row in here], dtype=float)
            if truth and self.layout.classes:
                wrong = [row.actual != row.predicted for row in truth]
                runs["error"] = np.array(wrong, dtype=float)
            found[tick] = {
                self.config.model: ModelNews(
                    self.layout.fingerprint,
                    self.traffic(here),
                    self.inputs(here),
                    self.quality(truth),
                    runs,
                    max((row.ts for row in here), default=-1),
                    max((row.arrival or -1 for row in truth), default=-1),
                )
            }
        return found

    def bundles(
        self,
        rows: Sequence[Row],
        until: int,
        sources: int = 1,
        cuts: Mapping[int, Sequence[int]] | None = None,
    ) -> list[list[Bundle]]:
        """Bundles per source; a bundle ends at every tick of the source's ``cuts``."""
        found = []
        for source in range(sources):
            news = self.news(rows, source)
            frontiers = sorted({*((cuts or {}).get(source, ())), until // self.tick})
            out, low = [], -1
            for sequence, frontier in enumerate(frontiers, start=1):
                ticks = [(t, news[t]) for t in sorted(news) if low <= t < frontier]
                books = {"predictions_in": sum(row.source == source for row in rows)}
                out.append(Bundle(source, sources, sequence, frontier, self.tick, ticks, books))
                low = frontier
            found.append(out)
        return found


def cell_of(table: CellTable | None, view: str = "prediction_time", segment: str = "*") -> Cell:
    """All rows of a table of one view and segment, merged."""
    total = Cell()
    if table is not None:
        wanted = (view, segment)
        list(add_table(table, lambda key: total if (key.view, key.segment) == wanted else None))
    return total


def chunk_of(values: Sequence[bytes], first: int = 0) -> Chunk:
    """Consecutive records of the partials topic."""
    n = len(values)
    return Chunk(
        "partials", 0, list(range(first, first + n)), [None] * n, list(values), [-1] * n, [()] * n
    )


class Silent:
    """An alert book without rules, which remembers what it was told."""

    def __init__(self) -> None:
        self.windows: list[WindowClosed] = []
        self.drifts: list[DriftDetected] = []
        self.times: list[TimePassed] = []

    def on_window(self, event: WindowClosed) -> list[Alert]:
        self.windows.append(event)
        return []

    def on_drift(self, event: DriftDetected) -> list[Alert]:
        self.drifts.append(event)
        return []

    def on_time(self, event: TimePassed) -> list[Alert]:
        self.times.append(event)
        return []

    def snapshot(self) -> Mapping[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        assert state == {}


def processor(
    settings: Settings, book: AlertBook | None = None, partition: int = 0
) -> MonitorProcessor:
    """A monitor with the configured alert rules, or with a given book for all models."""

    def rules(model: LoadedModel) -> AlertBook:
        return RuleBook(model) if book is None else book

    return MonitorProcessor(settings, partition, rules)


def together(parts: Sequence[list[list[Bundle]]]) -> list[list[Bundle]]:
    """Bundles of several models, made with the same cuts, as one join sends them."""
    found = []
    for per_source in zip(*parts, strict=True):
        out = []
        for same in zip(*per_source, strict=True):
            ticks: dict[int, dict[str, ModelNews]] = defaultdict(dict)
            for bundle in same:
                for tick, models in bundle.ticks:
                    ticks[tick] |= models
            head = same[0]
            out.append(
                Bundle(
                    *(head.source, head.sources, head.sequence, head.frontier, head.tick_ms),
                    sorted(ticks.items()),
                    head.books,
                )
            )
        found.append(out)
    return found
