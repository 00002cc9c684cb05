"""Rows as columns: what the intake hands to the join.

Everything that happens to every event happens on whole columns. Strings that repeat are kept once
and referred to by code. Columns are immutable by convention: slices and merged pieces share memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from streams.events.ids import Ids
from streams.wire import Chunk

MISSING = -1
WRONG_TYPE = -2

#: The clock of a partition that has not shown a row yet; far below any timestamp, yet far enough
#: from the end of int64 that durations can be subtracted from it.
NO_CLOCK = -(2**62)

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Selection = Ints | slice


@dataclass(slots=True)
class Coded:
    """Dictionary-encoded strings.

    Attributes:
        values: the distinct strings; their order means nothing and not all need be in use.
        codes: per row an index into ``values``, ``MISSING`` or ``WRONG_TYPE``.
    """

    values: list[str]
    codes: Codes

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.codes)

    def take(self, index: NDArray[np.integer] | Bools | slice) -> "Coded":
        """Select rows by index array, mask or slice."""
        return Coded(self.values, self.codes[index])

    def strings(self) -> list[str | None]:
        """Spell the column out; None where it is missing or of the wrong type."""
        padded: list[str | None] = [*self.values, None, None]
        return [padded[code] for code in self.codes.tolist()]

    @staticmethod
    def absent(rows: int) -> "Coded":
        """Make a column of ``rows`` missing values."""
        return Coded([], np.full(rows, MISSING, dtype=np.int32))

    @staticmethod
    def concat(parts: Sequence["Coded"]) -> "Coded":
        """Append columns to one another.

        Values that no row uses are dropped once they outnumber the rows, so that a buffer from
        which rows are taken at one end and added at the other does not grow for ever.
        """
        if len(parts) == 1:
            return parts[0]
        index: dict[str, int] = {}
        pieces: list[Codes] = []
        for part in parts:
            tight = part.compact() if len(part.values) > len(part.codes) else part
            mapping = np.array(
                [
                    *(index.setdefault(value, len(index)) for value in tight.values),
                    WRONG_TYPE,
                    MISSING,
                ],
                dtype=np.int32,
            )
            pieces.append(mapping[tight.codes])
        codes = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32)
        return Coded(list(index), codes)

    def compact(self) -> "Coded":
        """Drop the values that no row uses."""
        used = np.unique(self.codes[self.codes >= 0])
        mapping = np.full(len(self.values) + 2, MISSING, dtype=np.int32)
        mapping[-2] = WRONG_TYPE
        mapping[used] = np.arange(len(used), dtype=np.int32)
        return Coded([self.values[code] for code in used.tolist()], mapping[self.codes])


@dataclass(slots=True)
class PredictionBlock:
    """Rows of one model; every column has one entry per row, in topic order.

    Attributes:
        model: name of the model.
        rows: positions of these rows in the ``PredictionRows`` that hold the block, ascending.
        ids: prediction ids.
        ts: event time, ms since the epoch.
        version: model version; "unknown" where the event names none.
        predicted: regression: the number; class tasks: index of the predicted class; NaN where
            there is none (ranking, outcome, failed predictions).
        score: binary: probability of the positive class; multiclass: (n, K) probabilities in the
            order of the classes; regression and outcome: the number sent. NaN rows carry none,
            None means that no row does.
        ranking: per row the ranked items (empty for failed predictions); None for other tasks.
        numeric: (n, F) numeric features in configuration order; NaN = missing.
        numeric_bad: (n, F) marks values of the wrong type (NaN in ``numeric``); None = nowhere.
        categorical: one column per categorical feature in configuration order.
        tags: the tags that the configuration names and that are no features, and ``variant``.
        latency: ms; NaN = absent.
        error: the prediction failed.
    """

    model: str
    rows: Ints
    ids: Ids
    ts: Ints
    version: Coded
    predicted: Floats
    score: Floats | None
    ranking: list[list[str]] | None
    numeric: Floats
    numeric_bad: Bools | None
    categorical: list[Coded]
    tags: dict[str, Coded]
    latency: Floats
    error: Bools

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.ids)

    def take(self, index: Ints, rows: Ints) -> "PredictionBlock":
        """Select rows by position in the block and give them new positions in the whole."""
        held = self.ranking
        ranking = None if held is None else [held[i] for i in index.tolist()]
        return self._pick(index, rows, ranking)

    def slice(self, start: int, stop: int, shift: int) -> "PredictionBlock":
        """Select the rows ``start:stop`` of the block; their positions move by ``-shift``."""
        part = slice(start, stop)
        ranking = None if self.ranking is None else self.ranking[part]
        return self._pick(part, self.rows[part] - shift, ranking)

    def _pick(
        self,
        index: Selection,
        rows: Ints,
        ranking: list[list[str]] | None,
    ) -> "PredictionBlock":
        return PredictionBlock(
            model=self.model,
            rows=rows,
            ids=self.ids.take(index),
            ts=self.ts[index],
            version=self.version.take(index),
            predicted=self.predicted[index],
            score=None if self.score is None else self.score[index],
            ranking=ranking,
            numeric=self.numeric[index],
            numeric_bad=None if self.numeric_bad is None else self.numeric_bad[index],
            categorical=[column.take(index) for column in self.categorical],
            tags={name: column.take(index) for name, column in self.tags.items()},
            latency=self.latency[index],
            error=self.error[index],
        )

    @staticmethod
    def concat(blocks: Sequence["PredictionBlock"], shifts: Sequence[int]) -> "PredictionBlock":
        """Append blocks of one model; the rows of each move by its entry of ``shifts``."""
        first = blocks[0]
        if len(blocks) == 1:
            return first.slice(0, len(first), -shifts[0])
        names = dict.fromkeys(name for block in blocks for name in block.tags)
        return PredictionBlock(
            model=first.model,
            rows=np.concatenate(
                [block.rows + shift for block, shift in zip(blocks, shifts, strict=True)]
            ),
            ids=Ids.concat([block.ids for block in blocks]),
            ts=np.concatenate([block.ts for block in blocks]),
            version=Coded.concat([block.version for block in blocks]),
            predicted=np.concatenate([block.predicted for block in blocks]),
            score=_concat_scores(blocks),
            ranking=_concat_rankings(blocks),
            numeric=np.concatenate([block.numeric for block in blocks]),
            numeric_bad=_concat_bad(blocks),
            categorical=[
                Coded.concat([block.categorical[i] for block in blocks])
                for i in range(len(first.categorical))
            ],
            tags={
                name: Coded.concat(
                    [
                        block.tags[name] if name in block.tags else Coded.absent(len(block))
                        for block in blocks
                    ]
                )
                for name in names
            },
            latency=np.concatenate([block.latency for block in blocks]),
            error=np.concatenate([block.error for block in blocks]),
        )


def _concat_scores(blocks: Sequence[PredictionBlock]) -> Floats | None:
    shapes = [block.score.shape[1:] for block in blocks if block.score is not None]
    if not shapes:
        return None
    return np.concatenate(
        [
            np.full((len(block), *shapes[0]), np.nan) if block.score is None else block.score
            for block in blocks
        ]
    )


def _concat_rankings(blocks: Sequence[PredictionBlock]) -> list[list[str]] | None:
    if all(block.ranking is None for block in blocks):
        return None
    return [
        items
        for block in blocks
        for items in (block.ranking if block.ranking is not None else [[]] * len(block))
    ]


def _concat_bad(blocks: Sequence[PredictionBlock]) -> Bools | None:
    if all(block.numeric_bad is None for block in blocks):
        return None
    return np.concatenate(
        [
            np.zeros(block.numeric.shape, dtype=np.bool_)
            if block.numeric_bad is None
            else block.numeric_bad
            for block in blocks
        ]
    )


@dataclass(slots=True)
class PredictionRows:
    """Accepted predictions of one partition, in topic order.

    Attributes:
        ts: event time of each row, ms since the epoch.
        clock: running maximum of ``ts`` including the clock before the chunk; non-decreasing.
        offset: Kafka offset of the record that carried the row.
        blocks: the same rows by model; no block is empty, no model has two.
    """

    ts: Ints
    clock: Ints
    offset: Ints
    blocks: list[PredictionBlock]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.ts)

    @classmethod
    def empty(cls) -> Self:
        """Make a collection of no rows."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing, [])

    def slice(self, start: int, stop: int) -> "PredictionRows":
        """Select the rows ``start:stop``, with positions counted from the new start."""
        start, stop, _ = slice(start, stop).indices(len(self.ts))
        stop = max(start, stop)
        part = slice(start, stop)
        blocks = []
        for block in self.blocks:
            low, high = np.searchsorted(block.rows, (start, stop)).tolist()
            if low < high:
                blocks.append(block.slice(low, high, start))
        return PredictionRows(self.ts[part], self.clock[part], self.offset[part], blocks)

    @staticmethod
    def concat(parts: Iterable["PredictionRows"]) -> "PredictionRows":
        """Append rows that follow one another in the topic."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return PredictionRows.empty()
        if len(parts) == 1:
            return parts[0]
        grouped: dict[str, tuple[list[PredictionBlock], list[int]]] = {}
        shift = 0
        for part in parts:
            for block in part.blocks:
                blocks, shifts = grouped.setdefault(block.model, ([], []))
                blocks.append(block)
                shifts.append(shift)
            shift += len(part)
        return PredictionRows(
            np.concatenate([part.ts for part in parts]),
            np.concatenate([part.clock for part in parts]),
            np.concatenate([part.offset for part in parts]),
            [PredictionBlock.concat(blocks, shifts) for blocks, shifts in grouped.values()],
        )


class RawRow(NamedTuple):
    """Where a row came from: record of a chunk, and row within it when the record is a batch."""

    chunk: Chunk
    record: int
    row: int | None


@dataclass(slots=True)
class RawRows:
    """A sequence of ``RawRow``, kept as columns.

    Attributes:
        chunks: the chunks referred to.
        chunk: per row an index into ``chunks``.
        record: per row the index of its record in the chunk.
        row: per row its index in the batch, or -1 for single events.
    """

    chunks: list[Chunk]
    chunk: Codes
    record: Codes
    row: Codes

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.record)

    def __getitem__(self, index: int) -> RawRow:
        row = int(self.row[index])
        return RawRow(
            self.chunks[self.chunk[index]], int(self.record[index]), None if row < 0 else row
        )

    def __iter__(self) -> Iterator[RawRow]:
        return (self[i] for i in range(len(self)))

    def slice(self, start: int, stop: int) -> "RawRows":
        """Select the rows ``start:stop``; chunks that they do not need are let go."""
        part = slice(start, stop)
        used, chunk = np.unique(self.chunk[part], return_inverse=True)
        return RawRows(
            [self.chunks[i] for i in used.tolist()],
            chunk.astype(np.int32),
            self.record[part],
            self.row[part],
        )

    @staticmethod
    def concat(parts: Sequence["RawRows"]) -> "RawRows":
        """Append references."""
        position: dict[int, int] = {}
        chunks: list[Chunk] = []
        pieces: list[Codes] = []
        for part in parts:
            for chunk in part.chunks:
                if id(chunk) not in position:
                    position[id(chunk)] = len(chunks)
                    chunks.append(chunk)
            mapping = np.array([position[id(chunk)] for chunk in part.chunks], dtype=np.int32)
            pieces.append(mapping[part.chunk])
        return RawRows(
            chunks,
            np.concatenate(pieces),
            np.concatenate([part.record for part in parts]),
            np.concatenate([part.row for part in parts]),
        )


@dataclass(slots=True)
class FeedbackRows:
    """Accepted feedback of one partition, in topic order.

    Attributes:
        ids: ids of the predictions that the feedback is about.
        ts: event time, ms since the epoch.
        clock: running maximum of ``ts`` including the clock before the chunk; non-decreasing.
        offset: Kafka offset of the record that carried the row.
        number: ``actual`` where it is a number or a bool (1.0 or 0.0); NaN elsewhere.
        text: ``actual`` where it is a string.
        items: row -> ranking truth, relevant items or gain by item, where ``actual`` is a list
            or an object.
        is_bool: marks the rows whose ``actual`` is true or false; None = nowhere.
        event: name of the outcome.
        item: the item of the ranking that the outcome is about.
        value: worth of the outcome; NaN = absent.
        weight: weight of the label; 1 unless given.
        raw: where each row came from, to quarantine it later if it does not fit its model.
    """

    ids: Ids
    ts: Ints
    clock: Ints
    offset: Ints
    number: Floats
    text: Coded
    items: dict[int, list[str] | dict[str, float]]
    is_bool: Bools | None
    event: Coded
    item: Coded
    value: Floats
    weight: Floats
    raw: RawRows

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.ids)

    @classmethod
    def empty(cls) -> Self:
        """Make a collection of no rows."""
        ints = np.zeros(0, dtype=np.int64)
        floats = np.zeros(0, dtype=np.float64)
        codes = np.zeros(0, dtype=np.int32)
        nothing = Coded([], codes)
        return cls(
            ids=Ids.of([]),
            ts=ints,
            clock=ints,
            offset=ints,
            number=floats,
            text=nothing,
            items={},
            is_bool=None,
            event=nothing,
            item=nothing,
            value=floats,
            weight=floats,
            raw=RawRows([], codes, codes, codes),
        )

    def slice(self, start: int, stop: int) -> "FeedbackRows":
        """Select the rows ``start:stop``, with positions counted from the new start."""
        start, stop, _ = slice(start, stop).indices(len(self.ids))
        stop = max(start, stop)
        part = slice(start, stop)
        return FeedbackRows(
            ids=self.ids.take(part),
            ts=self.ts[part],
            clock=self.clock[part],
            offset=self.offset[part],
            number=self.number[part],
            text=self.text.take(part),
            items={row - start: truth for row, truth in self.items.items() if start <= row < stop},
            is_bool=None if self.is_bool is None else self.is_bool[part],
            event=self.event.take(part),
            item=self.item.take(part),
            value=self.value[part],
            weight=self.weight[part],
            raw=self.raw.slice(start, stop),
        )

    @staticmethod
    def concat(parts: Iterable["FeedbackRows"]) -> "FeedbackRows":
        """Append rows that follow one another in the topic."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return FeedbackRows.empty()
        if len(parts) == 1:
            return parts[0]
        items: dict[int, list[str] | dict[str, float]] = {}
        shift = 0
        for part in parts:
            items.update((row + shift, truth) for row, truth in part.items.items())
            shift += len(part)
        flags = [
            np.zeros(len(part), dtype=np.bool_) if part.is_bool is None else part.is_bool
            for part in parts
        ]
        return FeedbackRows(
            ids=Ids.concat([part.ids for part in parts]),
            ts=np.concatenate([part.ts for part in parts]),
            clock=np.concatenate([part.clock for part in parts]),
            offset=np.concatenate([part.offset for part in parts]),
            number=np.concatenate([part.number for part in parts]),
            text=Coded.concat([part.text for part in parts]),
            items=items,
            is_bool=None if all(part.is_bool is None for part in parts) else np.concatenate(flags),
            event=Coded.concat([part.event for part in parts]),
            item=Coded.concat([part.item for part in parts]),
            value=np.concatenate([part.value for part in parts]),
            weight=np.concatenate([part.weight for part in parts]),
            raw=RawRows.concat([part.raw for part in parts]),
        )
