"""Partials: mergeable summaries that cross from the join to the monitor, in bundles.

A bundle travels as MessagePack. Every text in it is written once and told by its number; all
numbers of a tick are one column, packed as :mod:`streams.core.numbers` does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
import numpy as np

from streams.core.cell import Cell, add_table
from streams.core.numbers import lay_out, pack_numbers, take_up, unpack_numbers
from streams.core.tables import (
    ALL,
    LABEL_TIME,
    PREDICTION_TIME,
    CellKey,
    CellTable,
    FloatArray,
    IntArray,
    ModelNews,
    SparseColumn,
    merge_moments,
    without,
)

__all__ = [
    "ALL",
    "LABEL_TIME",
    "PREDICTION_TIME",
    "Bundle",
    "Cell",
    "CellKey",
    "CellTable",
    "FloatArray",
    "IntArray",
    "ModelNews",
    "SparseColumn",
    "TickNews",
    "TickPacker",
    "add_table",
    "merge_moments",
    "without",
]

TickNews = tuple[int, dict[str, ModelNews]]
"""A tick and what was learnt in it, by model."""

Count = Annotated[int, msgspec.Meta(ge=0)]


class _Table(msgspec.Struct, array_like=True):
    """A cell table without its numbers; texts by number.

    Attributes:
        keys: view, version, segment and pane of each cell.
        dense: name and width of each statistic, outermost first.
        moments: likewise.
        sparse: name and pairs of each statistic.
        sketches: name and sketches of each statistic.
    """

    keys: list[tuple[Count, Count, Count, int]]
    dense: list[list[Count]]
    moments: list[list[Count]]
    sparse: list[tuple[Count, Count]]
    sketches: list[tuple[Count, list[bytes | None]]]


class _News(msgspec.Struct, array_like=True):
    """The news of one model without its numbers; texts by number."""

    model: Count
    layout: Count
    last_prediction: int
    last_label: int
    tables: tuple[_Table | None, _Table | None, _Table | None]
    runs: list[tuple[Count, Count]]


class _Tick(msgspec.Struct, array_like=True):
    """One tick; ``numbers`` packs so many."""

    tick: int
    models: list[_News]
    count: Count
    numbers: bytes


class _Wire(msgspec.Struct, array_like=True):
    version: int
    source: Count
    sources: Count
    sequence: Count
    frontier: int
    tick_ms: int
    texts: list[str]
    ticks: list[_Tick]
    books: dict[str, int]


_DECODER = msgspec.msgpack.Decoder(_Wire)


class TickPacker:
    """Packs the ticks of one bundle, each when it comes, so that the size is known all along."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}
        self._ticks: list[msgspec.Raw] = []
        self.size = 0
        """Bytes of all ticks so far and of their texts."""

    def __len__(self) -> int:
        """Count the ticks."""
        return len(self._ticks)

    def add(self, tick: int, models: Mapping[str, ModelNews]) -> None:
        """Add a tick; ticks ascend."""
        columns: list[FloatArray] = []
        news = [self._news(name, one, columns) for name, one in models.items()]
        numbers = np.concatenate(columns) if columns else np.zeros(0)
        packed = msgspec.msgpack.encode(_Tick(tick, news, len(numbers), pack_numbers(numbers)))
        self._ticks.append(msgspec.Raw(packed))
        self.size += len(packed)

    def take_back(self) -> None:
        """Remove the tick that was added last."""
        self.size -= len(bytes(self._ticks.pop()))

    def _news(self, name: str, news: ModelNews, columns: list[FloatArray]) -> _News:
        tables = (
            self._table(news.traffic, columns),
            self._table(news.inputs, columns),
            self._table(news.quality, columns),
        )
        runs = [(self._text(n), len(run)) for n, run in news.runs.items()]
        columns += news.runs.values()
        return _News(
            self._text(name),
            self._text(news.layout),
            news.last_prediction,
            news.last_label,
            tables,
            runs,
        )

    def _table(self, table: CellTable | None, columns: list[FloatArray]) -> _Table | None:
        if table is None:
            return None
        columns += [column.ravel() for column in table.dense.values()]
        columns += [column.ravel() for column in table.moments.values()]
        for sparse in table.sparse.values():
            columns.append(lay_out(sparse.cells, sparse.keys, sparse.sums, len(table)))
        text = self._text
        return _Table(
            [(text(k.view), text(k.version), text(k.segment), k.pane) for k in table.keys],
            [[text(n), *column.shape[1:]] for n, column in table.dense.items()],
            [[text(n), *column.shape[1:]] for n, column in table.moments.items()],
            [(text(n), len(column.keys)) for n, column in table.sparse.items()],
            [(text(n), sketches) for n, sketches in table.sketches.items()],
        )

    def _text(self, text: str) -> int:
        number = self._texts.get(text)
        if number is None:
            number = self._texts[text] = len(self._texts)
            self.size += len(text.encode()) + 5
        return number

    def encode(self, bundle: "Bundle") -> bytes:
        """Write a bundle with these ticks in place of its own."""
        return msgspec.msgpack.encode(
            (
                Bundle.VERSION,
                bundle.source,
                bundle.sources,
                bundle.sequence,
                bundle.frontier,
                bundle.tick_ms,
                list(self._texts),
                self._ticks,
                bundle.books,
            )
        )


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
    ticks: list[TickNews] = field(default_factory=list)
    books: dict[str, int] = field(default_factory=dict)

    VERSION = 2

    def encode(self) -> bytes:
        """Encode for the partials topic."""
        packer = TickPacker()
        for tick, models in self.ticks:
            packer.add(tick, models)
        return packer.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Bundle":
        """Decode; raises ValueError for anything that :meth:`encode` did not make."""
        # An array of at most fifteen entries, the first of which is the version.
        if len(data) < 2 or data[0] >> 4 != 9 or data[1] >= 128:
            raise ValueError("not a partials bundle")
        if data[1] != cls.VERSION:
            raise ValueError(f"partials bundle has version {data[1]}; this reads {cls.VERSION}")
        try:
            wire = _DECODER.decode(data)
            ticks = [(one.tick, _Reader(wire.texts, one).models()) for one in wire.ticks]
        except (msgspec.DecodeError, ValueError, IndexError) as error:
            raise ValueError(f"not a partials bundle: {error}") from error
        return cls(
            wire.source, wire.sources, wire.sequence, wire.frontier, wire.tick_ms, ticks, wire.books
        )


class _Reader:
    """Reads the numbers of one tick in the order in which they were written."""

    def __init__(self, texts: list[str], tick: _Tick) -> None:
        self._texts = texts
        self._tick = tick
        self._numbers = unpack_numbers(tick.numbers, tick.count)
        self._at = 0

    def models(self) -> dict[str, ModelNews]:
        found = {self._texts[news.model]: self._news(news) for news in self._tick.models}
        if self._at != len(self._numbers):
            raise ValueError(f"{len(self._numbers) - self._at} numbers too many")
        return found

    def _news(self, news: _News) -> ModelNews:
        traffic, inputs, quality = (self._table(table) for table in news.tables)
        runs = {self._texts[name]: self._take(size) for name, size in news.runs}
        layout = self._texts[news.layout]
        return ModelNews(
            layout, traffic, inputs, quality, runs, news.last_prediction, news.last_label
        )

    def _table(self, wire: _Table | None) -> CellTable | None:
        if wire is None:
            return None
        texts, cells = self._texts, len(wire.keys)
        keys = [CellKey(texts[v], texts[w], texts[s], pane) for v, w, s, pane in wire.keys]
        dense = self._columns(wire.dense, cells)
        moments = self._columns(wire.moments, cells)
        sparse = {texts[name]: self._sparse(cells, size) for name, size in wire.sparse}
        sketches = {}
        for name, found in wire.sketches:
            if len(found) != cells:
                raise ValueError(f"{len(found)} sketches for {cells} cells")
            sketches[texts[name]] = found
        return CellTable(keys, dense, sparse, moments, sketches)

    def _columns(self, shapes: Iterable[list[int]], cells: int) -> dict[str, FloatArray]:
        found = {}
        for name, *shape in shapes:
            size = cells
            for width in shape:
                size *= width
            found[self._texts[name]] = self._take(size).reshape(cells, *shape)
        return found

    def _sparse(self, cells: int, size: int) -> SparseColumn:
        rows, keys, sums = take_up(self._take(cells + 2 * size), cells)
        return SparseColumn(rows, keys, sums)

    def _take(self, size: int) -> FloatArray:
        start, self._at = self._at, self._at + size
        if self._at > len(self._numbers):
            raise ValueError("numbers are missing")
        return self._numbers[start : self._at]
