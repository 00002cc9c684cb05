"""The join's state as it is saved: what came since the last checkpoint, piece by piece.

A checkpoint adds one record with the new rows, labels and waiting truth; nothing that was written
is ever written again. Each record says until when it is needed; after that it is deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.core.join.matcher import Changes, LabelChange
from streams.core.join.pages import NewRows, OutcomeKey
from streams.events.ids import Ids
from streams.wire import Chunk, Packed

Ints = NDArray[np.int64]

VERSION = 2


class StateError(ValueError):
    """A state record cannot be used; the message says what is wrong with it."""


@dataclass(slots=True)
class NewPage:
    """Rows that were appended to a page; ``score_width`` is the width of their scores."""

    model: str
    page: int
    start: int
    score_width: int
    rows: NewRows


@dataclass(slots=True)
class EarlyRecords:
    """Truth that began to wait in one tick.

    Attributes:
        number: number of the first row; the others follow.
        arrived: event time of the tick, ms.
        chunk: a record for each row.
        batch_row: per row its place in the batch that it came in, or -1.
    """

    number: int
    arrived: int
    chunk: Chunk
    batch_row: NDArray[np.int32]


@dataclass(slots=True)
class Delta:
    """What one checkpoint adds.

    Attributes:
        needed_until: event time after which nothing of it is needed, ms.
        rows: new predictions.
        changes: what feedback changed.
        early: truth that began to wait.
        claimed: numbers of waiting truth that found its prediction.
    """

    needed_until: int = 0
    rows: list[NewPage] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    early: list[EarlyRecords] = field(default_factory=list)
    claimed: list[Ints] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to save."""
        return bool(self.rows or self.changes or self.early or self.claimed)

    def encode(self) -> bytes:
        """Encode as a state record."""
        return msgspec.msgpack.encode(
            [
                VERSION,
                self.needed_until,
                [_pack_rows(part) for part in self.rows],
                _pack_changes(self.changes),
                [_pack_early(early) for early in self.early],
                _bytes(_joined(self.claimed, np.int64)),
            ]
        )

    @classmethod
    def decode(cls, name: str, data: bytes) -> "Delta":
        """Decode a state record; raises StateError naming it."""
        try:
            version, *rest = msgspec.msgpack.decode(data)
            if version != VERSION:
                raise StateError(f"{name}: state version {version}; this release reads {VERSION}")
            until, rows, changes, early, claimed = rest
            return cls(
                until,
                [_unpack_rows(part) for part in rows],
                _unpack_changes(changes),
                [_unpack_early(part) for part in early],
                [_array(claimed, np.int64)],
            )
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            if isinstance(error, StateError):
                raise
            raise StateError(f"{name}: broken state record: {error}") from error


@dataclass(slots=True)
class Marker:
    """The whole of the small state, and how to read the rest.

    Attributes:
        sequence: number of the last bundle that was sent.
        checkpoint: number of this checkpoint.
        frontier: first tick that was not taken.
        clocks: clock of each source as of its position.
        positions: offset of the first record of each source that is not included.
        books: the balances.
        quarantined: rows in quarantine by source and reason.
        accepted: unknown models that were let in.
        early: number of the next truth that has to wait.
        next_page: number of the next page.
        open_pages: per model the page that takes new rows, and its slots in use. Rows at its end
            may be forgotten already, yet their slots must not be given to others.
    """

    sequence: int
    checkpoint: int
    frontier: int
    clocks: dict[str, int]
    positions: dict[str, int]
    books: dict[str, int]
    quarantined: dict[str, int]
    accepted: list[str]
    early: int
    next_page: int
    open_pages: dict[str, list[int]]

    def encode(self) -> bytes:
        """Encode as a checkpoint's marker."""
        return msgspec.msgpack.encode(
            [
                VERSION,
                self.sequence,
                self.checkpoint,
                self.frontier,
                self.clocks,
                self.positions,
                self.books,
                self.quarantined,
                self.accepted,
                self.early,
                self.next_page,
                self.open_pages,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> "Marker":
        """Decode a marker; raises StateError."""
        try:
            version, *rest = msgspec.msgpack.decode(data)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise StateError(f"marker: broken state record: {error}") from error
        if version != VERSION:
            raise StateError(f"marker: state version {version}; this release reads {VERSION}")
        return cls(*rest)


# Numbers are little-endian, whatever the machine.


def _bytes(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()


def _array(data: bytes, dtype: type[Any]) -> NDArray[Any]:
    """Read numbers; the array can be written to, as compiled loops want it."""
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype)


def _joined(parts: Sequence[NDArray[Any]], dtype: type[Any]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


def _pack_rows(part: NewPage) -> list[Any]:
    rows = part.rows
    return [
        part.model,
        part.page,
        part.start,
        part.score_width,
        _bytes(rows.ids.data),
        _bytes(rows.ids.size.astype(np.int32)),
        _bytes(rows.ts),
        _bytes(rows.group),
        _bytes(rows.predicted),
        None if rows.score is None else _bytes(rows.score),
        rows.rankings,
    ]


def _unpack_rows(packed: Sequence[Any]) -> NewPage:
    model, page, start, width, ids, sizes, ts, group, predicted, score, rankings = packed
    size = _array(sizes, np.int32).astype(np.int64)
    text = np.frombuffer(ids, np.uint8).copy()
    if int(size.sum()) != len(text):
        raise ValueError("ids and their sizes differ")
    rows = NewRows(
        Ids.spans(text, np.cumsum(size) - size, size),
        _array(ts, np.int64),
        _array(group, np.int32),
        _array(predicted, np.float64),
        None if score is None else _array(score, np.float64).reshape(len(size), width),
        rankings,
    )
    if not len(size) == len(rows.ts) == len(rows.group) == len(rows.predicted):
        raise ValueError("columns differ in length")
    return NewPage(model, page, start, width, rows)


def _pack_changes(changes: Changes) -> list[Any]:
    labels = changes.labels
    return [
        _bytes(_joined([one.handles for one in labels], np.int64)),
        _bytes(_joined([one.label for one in labels], np.float64)),
        _bytes(_joined([one.label_ts for one in labels], np.int64)),
        [[handle, *key] for handle, key in changes.outcomes],
        changes.weights,
        changes.gains,
    ]


def _unpack_changes(packed: Sequence[Any]) -> Changes:
    handles, label, label_ts, outcomes, weights, gains = packed
    seen: list[tuple[int, OutcomeKey]] = [(h, (o, item, ts)) for h, o, item, ts in outcomes]
    labels = LabelChange(
        _array(handles, np.int64), _array(label, np.float64), _array(label_ts, np.int64)
    )
    if not len(labels.handles) == len(labels.label) == len(labels.label_ts):
        raise ValueError("columns differ in length")
    return Changes([labels] if len(labels.handles) else [], seen, weights, gains)


def _pack_early(early: EarlyRecords) -> list[Any]:
    packed = early.chunk.packed
    text = memoryview(packed.data.data)
    bare = [
        _text(text, packed.key_at, packed.key_size),
        _text(text, packed.value_at, packed.value_size),
    ]
    headers = {i: [list(header) for header in held] for i, held in packed.headers.items()}
    return [
        early.number,
        early.arrived,
        early.chunk.source,
        early.chunk.partition,
        _bytes(packed.offsets),
        _bytes(packed.timestamps),
        *bare,
        _bytes(packed.key_size.astype(np.int32)),
        _bytes(packed.value_size.astype(np.int32)),
        headers,
        _bytes(early.batch_row),
    ]


def _text(data: memoryview, at: Ints, size: Ints) -> bytes:
    there = np.flatnonzero(size > 0)
    pairs = zip(at[there].tolist(), size[there].tolist(), strict=True)
    return b"".join([data[start : start + length] for start, length in pairs])


def _unpack_early(packed: Sequence[Any]) -> EarlyRecords:
    number, arrived, source, partition, offsets, stamps, keys, values, *rest = packed
    key_sizes, value_sizes, headers, batch_row = rest
    key_size = _array(key_sizes, np.int32).astype(np.int64)
    value_size = _array(value_sizes, np.int32).astype(np.int64)
    sizes = np.maximum(np.concatenate([key_size, value_size]), 0)
    starts = np.cumsum(sizes) - sizes
    data = np.frombuffer(keys + values, np.uint8).copy()
    if int(sizes.sum()) != len(data):
        raise ValueError("records and their sizes differ")
    columns = Packed(
        data,
        _array(offsets, np.int64),
        _array(stamps, np.int64),
        starts[: len(key_size)],
        key_size,
        starts[len(key_size) :],
        value_size,
        {int(i): tuple((name, text) for name, text in held) for i, held in headers.items()},
    )
    chunk = Chunk.of(source, partition, columns)
    return EarlyRecords(number, arrived, chunk, _array(batch_row, np.int32))
