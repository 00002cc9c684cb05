"""Partials: mergeable summaries that cross from the join to the monitor.

A *cell* is what one model, version, segment and pane has seen so far; a *cell table* holds the news
of one tick for many cells, column by column, so that building and merging cost a few array
operations per tick. Every statistic merges in one of four ways:

* dense: fixed-width float64 sums (integers below 2**53 stay exact),
* sparse: sums by integer key (histogram bins that are mostly empty),
* moments: weight, mean and sum of squared deviations, merged after Chan, Golub and LeVeque (1983),
* sketches: Apache DataSketches, merged by their own rules.

What the statistics are called and hold is written down in :mod:`streams.core.layout`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ALL = "*"
"""Version or segment that stands for every version or every segment."""


class CellKey(NamedTuple):
    """Where a summary belongs inside one model.

    Attributes:
        view: "prediction_time" or "label_time".
        version: model version.
        segment: "*" or "name=value".
        pane: start of the pane in ms since the epoch.
    """

    view: str
    version: str
    segment: str
    pane: int


PREDICTION_TIME = "prediction_time"
LABEL_TIME = "label_time"


def merge_moments(a: FloatArray, b: FloatArray) -> FloatArray:
    """Merge arrays of (weight, mean, squared deviations), shape [..., 3].

    Weights may be negative: that takes rows back out.

    >>> merge_moments(np.array([2.0, 1.0, 2.0]), np.array([2.0, 3.0, 2.0])).tolist()
    [4.0, 2.0, 8.0]
    """
    weight = a[..., 0] + b[..., 0]
    safe = np.where(weight == 0.0, 1.0, weight)
    delta = b[..., 1] - a[..., 1]
    share = b[..., 0] / safe
    out = np.empty_like(a)
    out[..., 0] = weight
    # An empty side must not move the mean, not even by a rounding.
    out[..., 1] = np.where(a[..., 0] == 0.0, b[..., 1], a[..., 1] + delta * share)
    out[..., 2] = a[..., 2] + b[..., 2] + delta * delta * a[..., 0] * share
    return np.where((weight == 0.0)[..., None], 0.0, out)


def without(moments: FloatArray, removed: FloatArray) -> FloatArray:
    """Moments of rows after some of them were taken out.

    >>> without(np.array([4.0, 2.0, 8.0]), np.array([2.0, 3.0, 2.0])).tolist()
    [2.0, 1.0, 2.0]
    """
    return merge_moments(moments, removed * np.array([-1.0, 1.0, -1.0]))


@dataclass(slots=True)
class SparseColumn:
    """Sums by (cell, key), sorted by cell then key; all arrays have one entry per pair."""

    cells: IntArray
    keys: IntArray
    sums: FloatArray

    @classmethod
    def count(cls, cells: IntArray, keys: IntArray, weights: FloatArray | None) -> "SparseColumn":
        """Sum weights (1 each when None) by cell and key; keys must be within +-2**31."""
        if not len(keys):
            return cls(cells.astype(np.int64), keys.astype(np.int64), np.zeros(0))
        low, high, last = int(keys.min()), int(keys.max()), int(cells.max())
        width = high - low + 1
        if width * (last + 1) <= max(1 << 14, 4 * len(keys)):
            # Counting into every possible pair is several times faster than sorting.
            flat = cells * width + (keys - low)
            hits = np.bincount(flat)
            used = np.flatnonzero(hits)
            counted = hits.astype(np.float64)
            sums = counted if weights is None else np.bincount(flat, weights).astype(np.float64)
            return cls(used // width, used % width + low, sums[used])
        pairs = (cells << 32) + (keys + (1 << 31))
        unique, inverse = np.unique(pairs, return_inverse=True)
        sums = np.bincount(inverse, weights=weights, minlength=len(unique)).astype(np.float64)
        return cls(unique >> 32, (unique & 0xFFFFFFFF) - (1 << 31), sums)


@dataclass(slots=True)
class CellTable:
    """The news of one tick for the cells of one kind; every column has one row per cell."""

    keys: list[CellKey]
    dense: dict[str, FloatArray] = field(default_factory=dict)
    sparse: dict[str, SparseColumn] = field(default_factory=dict)
    moments: dict[str, FloatArray] = field(default_factory=dict)
    sketches: dict[str, list[bytes | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the cells."""
        return len(self.keys)


def _sketch_type(name: str) -> Callable[[bytes], FrequentItems | HyperLogLog]:
    kind = name.partition(":")[0]
    if kind == "frequent":
        return FrequentItems.from_bytes
    if kind == "distinct":
        return HyperLogLog.from_bytes
    raise ValueError(f"unknown sketch {name!r}: names begin with 'frequent' or 'distinct'")


@dataclass(slots=True)
class Cell:
    """All that one cell has seen: statistics by name.

    ``sparse`` maps a name to a dictionary from key to sum.
    """

    dense: dict[str, FloatArray] = field(default_factory=dict)
    sparse: dict[str, dict[int, float]] = field(default_factory=dict)
    moments: dict[str, FloatArray] = field(default_factory=dict)
    sketches: dict[str, FrequentItems | HyperLogLog] = field(default_factory=dict)

    def merge(self, other: "Cell") -> None:
        """Add another cell's statistics; arrays of another shape raise ValueError."""
        for name, values in other.dense.items():
            self._add_dense(name, values)
        for name, sums in other.sparse.items():
            self._add_sparse(name, sums.items())
        for name, values in other.moments.items():
            self._add_moments(name, values)
        for name, sketch in other.sketches.items():
            self._add_sketch(name, sketch.to_bytes())

    def _add_dense(self, name: str, values: FloatArray) -> None:
        mine = self.dense.get(name)
        if mine is None:
            self.dense[name] = values.copy()
        elif mine.shape != values.shape:
            raise ValueError(f"statistic {name!r} has shape {values.shape}, not {mine.shape}")
        else:
            mine += values

    def _add_moments(self, name: str, values: FloatArray) -> None:
        mine = self.moments.get(name)
        if mine is None:
            self.moments[name] = values.copy()
        elif mine.shape != values.shape:
            raise ValueError(f"statistic {name!r} has shape {values.shape}, not {mine.shape}")
        else:
            self.moments[name] = merge_moments(mine, values)

    def _add_sparse(self, name: str, pairs: Iterable[tuple[int, float]]) -> None:
        mine = self.sparse.setdefault(name, {})
        for key, value in pairs:
            mine[key] = mine.get(key, 0.0) + value

    def _add_sketch(self, name: str, data: bytes) -> None:
        sketch = _sketch_type(name)(data)
        mine = self.sketches.get(name)
        if mine is None:
            self.sketches[name] = sketch
        else:
            mine.merge(sketch)  # type: ignore[arg-type]  # one name always holds one kind

    def to_wire(self) -> dict[str, Any]:
        """Plain containers and bytes, for snapshots."""
        return {
            "dense": {n: _pack(v) for n, v in self.dense.items()},
            "sparse": {
                n: [
                    np.fromiter(s.keys(), np.int64, len(s)).tobytes(),
                    np.fromiter(s.values(), np.float64, len(s)).tobytes(),
                ]
                for n, s in self.sparse.items()
            },
            "moments": {n: _pack(v) for n, v in self.moments.items()},
            "sketches": {n: s.to_bytes() for n, s in self.sketches.items()},
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> "Cell":
        """Rebuild a cell from :meth:`to_wire`."""
        return cls(
            dense={n: _unpack(v) for n, v in wire["dense"].items()},
            sparse={
                n: dict(
                    zip(
                        np.frombuffer(k, np.int64).tolist(),
                        np.frombuffer(v, np.float64).tolist(),
                        strict=True,
                    )
                )
                for n, (k, v) in wire["sparse"].items()
            },
            moments={n: _unpack(v) for n, v in wire["moments"].items()},
            sketches={n: _sketch_type(n)(data) for n, data in wire["sketches"].items()},
        )


def add_table(
    table: CellTable, cell_for: Callable[[CellKey], Cell | None]
) -> Iterator[tuple[CellKey, Cell]]:
    """Merge a table's rows into the cells that ``cell_for`` gives; None passes a row over.

    Yields the cells that were touched, in the table's order.
    """
    bounds = {
        name: np.searchsorted(column.cells, np.arange(len(table) + 1))
        for name, column in table.sparse.items()
    }
    for row, key in enumerate(table.keys):
        cell = cell_for(key)
        if cell is None:
            continue
        for name, values in table.dense.items():
            cell._add_dense(name, values[row])  # noqa: SLF001 - one module, one idea
        for name, column in table.sparse.items():
            low, high = bounds[name][row], bounds[name][row + 1]
            if high > low:
                pairs = zip(
                    column.keys[low:high].tolist(), column.sums[low:high].tolist(), strict=True
                )
                cell._add_sparse(name, pairs)  # noqa: SLF001 - one module, one idea
        for name, values in table.moments.items():
            cell._add_moments(name, values[row])  # noqa: SLF001 - one module, one idea
        for name, sketches in table.sketches.items():
            data = sketches[row]
            if data is not None:
                cell._add_sketch(name, data)  # noqa: SLF001 - one module, one idea
        yield key, cell


# -- the wire form: msgpack of plain containers, arrays as (shape, bytes) -----------------------


def _pack(values: FloatArray) -> list[Any]:
    return [list(values.shape), values.astype("<f8", copy=False).tobytes()]


def _unpack(packed: list[Any]) -> FloatArray:
    shape, data = packed
    return np.frombuffer(data, "<f8").reshape(shape).copy()


def _pack_table(table: CellTable) -> dict[str, Any]:
    return {
        "keys": [list(key) for key in table.keys],
        "dense": {n: _pack(v) for n, v in table.dense.items()},
        "sparse": {
            n: [c.cells.tobytes(), c.keys.tobytes(), c.sums.tobytes()]
            for n, c in table.sparse.items()
        },
        "moments": {n: _pack(v) for n, v in table.moments.items()},
        "sketches": table.sketches,
    }


def _unpack_table(wire: Mapping[str, Any]) -> CellTable:
    return CellTable(
        keys=[CellKey(*key) for key in wire["keys"]],
        dense={n: _unpack(v) for n, v in wire["dense"].items()},
        sparse={
            n: SparseColumn(
                np.frombuffer(cells, np.int64),
                np.frombuffer(keys, np.int64),
                np.frombuffer(sums, np.float64),
            )
            for n, (cells, keys, sums) in wire["sparse"].items()
        },
        moments={n: _unpack(v) for n, v in wire["moments"].items()},
        sketches=wire["sketches"],
    )


@dataclass(slots=True)
class ModelNews:
    """What one join partition learnt about one model in one tick.

    Attributes:
        layout: fingerprint of the layout that the statistics were made with.
        traffic: cells of view "prediction_time": counts, scores, latency.
        inputs: cells of view "prediction_time" and segment "*": the features.
        quality: cells of both views: predictions compared with truth.
        runs: per-item series for sequential detectors, in canonical order: "error", "score",
            "prediction" or "feature:<name>".
        last_prediction: newest prediction timestamp of the tick, ms; -1 when there is none.
        last_label: newest truth timestamp of the tick, ms; -1 when there is none.
    """

    layout: str
    traffic: CellTable | None = None
    inputs: CellTable | None = None
    quality: CellTable | None = None
    runs: dict[str, FloatArray] = field(default_factory=dict)
    last_prediction: int = -1
    last_label: int = -1


@dataclass(slots=True)
class Bundle:
    """What one join partition sends to one monitor partition at a checkpoint.

    Attributes:
        source: join partition.
        sources: number of join partitions.
        sequence: 1, 2, 3, ... per source; a repeat is dropped by the receiver.
        frontier: every tick below this one is complete; tick t covers [t, t + 1) * tick_ms;
            ``NEVER`` of streams.core.ticks from a partition that has no event time yet.
        tick_ms: length of a tick.
        ticks: news by tick and model; ticks ascend, ticks without news are absent.
        books: the partition's balances as of the frontier, by name.
    """

    source: int
    sources: int
    sequence: int
    frontier: int
    tick_ms: int
    ticks: list[tuple[int, dict[str, ModelNews]]] = field(default_factory=list)
    books: dict[str, int] = field(default_factory=dict)

    VERSION = 1

    def encode(self) -> bytes:
        """Encode for the partials topic."""
        ticks = [
            [
                tick,
                {
                    model: {
                        "layout": news.layout,
                        "traffic": None if news.traffic is None else _pack_table(news.traffic),
                        "inputs": None if news.inputs is None else _pack_table(news.inputs),
                        "quality": None if news.quality is None else _pack_table(news.quality),
                        "runs": {n: run.tobytes() for n, run in news.runs.items()},
                        "last": [news.last_prediction, news.last_label],
                    }
                    for model, news in models.items()
                },
            ]
            for tick, models in self.ticks
        ]
        return msgspec.msgpack.encode(
            [
                self.VERSION,
                self.source,
                self.sources,
                self.sequence,
                self.frontier,
                self.tick_ms,
                ticks,
                self.books,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> "Bundle":
        """Decode; raises ValueError for anything that :meth:`encode` did not make."""
        try:
            version, *rest = msgspec.msgpack.decode(data)
        except (msgspec.DecodeError, TypeError, ValueError) as error:
            raise ValueError(f"not a partials bundle: {error}") from error
        if version != cls.VERSION:
            raise ValueError(f"partials bundle has version {version}; this reads {cls.VERSION}")
        source, sources, sequence, frontier, tick_ms, ticks, books = rest
        return cls(
            source,
            sources,
            sequence,
            frontier,
            tick_ms,
            [
                (tick, {model: _unpack_news(wire) for model, wire in models.items()})
                for tick, models in ticks
            ],
            books,
        )


def _unpack_news(wire: Mapping[str, Any]) -> ModelNews:
    tables = {
        kind: None if wire[kind] is None else _unpack_table(wire[kind])
        for kind in ("traffic", "inputs", "quality")
    }
    return ModelNews(
        layout=wire["layout"],
        **tables,
        runs={n: np.frombuffer(run, np.float64) for n, run in wire["runs"].items()},
        last_prediction=wire["last"][0],
        last_label=wire["last"][1],
    )
