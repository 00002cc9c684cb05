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
from streams.core.join.pages import NewRows
from streams.core.join.waiting import OutcomeKey
from streams.events.ids import Ids
from streams.wire import Chunk

VERSION = 1


class StateError(ValueError):
    """A state record cannot be used; the message says what is wrong with it."""


@dataclass(slots=True)
class NewPage:
    """Rows that were appended to a page."""

    model: str
    page: int
    start: int
    score_width: int
    rows: NewRows


@dataclass(slots=True)
class EarlyRecord:
    """Truth that began to wait; ``batch_row`` is -1 unless it came in a batch."""

    number: int
    arrived: int
    record: Chunk
    batch_row: int


@dataclass(slots=True)
class Delta:
    """What one checkpoint adds.

    Attributes:
        needed_until: event time after which nothing of it is needed, ms.
        rows: new predictions.
        changes: what feedback changed.
        groups: new groups by model.
        early: truth that began to wait.
        claimed: numbers of waiting truth that found its prediction.
    """

    needed_until: int = 0
    rows: list[NewPage] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    groups: dict[str, list[list[str]]] = field(default_factory=dict)
    early: list[EarlyRecord] = field(default_factory=list)
    claimed: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to save."""
        return bool(self.rows or self.changes or self.groups or self.early or self.claimed)

    def encode(self) -> bytes:
        """Encode as a state record."""
        return msgspec.msgpack.encode(
            [
                VERSION,
                self.needed_until,
                [_pack_rows(part) for part in self.rows],
                _pack_changes(self.changes),
                self.groups,
                [_pack_early(early) for early in self.early],
                self.claimed,
            ]
        )

    @classmethod
    def decode(cls, name: str, data: bytes) -> "Delta":
        """Decode a state record; raises StateError naming it."""
        try:
            version, *rest = msgspec.msgpack.decode(data)
            if version != VERSION:
                raise StateError(f"{name}: state version {version}; this release reads {VERSION}")
            until, rows, changes, groups, early, claimed = rest
            return cls(
                until,
                [_unpack_rows(part) for part in rows],
                _unpack_changes(changes),
                groups,
                [_unpack_early(part) for part in early],
                claimed,
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


def _bytes(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values).tobytes()


def _pack_rows(part: NewPage) -> list[Any]:
    rows = part.rows
    return [
        part.model,
        part.page,
        part.start,
        part.score_width,
        rows.ids.joined().tobytes(),
        _bytes(rows.ids.size),
        _bytes(rows.ts),
        _bytes(rows.group),
        _bytes(rows.predicted),
        None if rows.score is None else _bytes(rows.score),
        rows.rankings,
    ]


def _unpack_rows(packed: Sequence[Any]) -> NewPage:
    model, page, start, width, ids, sizes, ts, group, predicted, score, rankings = packed
    scores = None
    if score is not None:
        scores = np.frombuffer(score, np.float64)
        if width > 1:
            scores = scores.reshape(-1, width)
    size = np.frombuffer(sizes, np.int64)
    rows = NewRows(
        Ids.spans(np.frombuffer(ids, np.uint8), np.cumsum(size) - size, size),
        np.frombuffer(ts, np.int64),
        np.frombuffer(group, np.int32),
        np.frombuffer(predicted, np.float64),
        scores,
        rankings,
    )
    return NewPage(model, page, start, width, rows)


def _pack_changes(changes: Changes) -> list[Any]:
    return [
        [[_bytes(c.handles), _bytes(c.label), _bytes(c.label_ts)] for c in changes.labels],
        [[handle, *key] for handle, key in changes.outcomes],
        changes.weights,
        changes.gains,
    ]


def _unpack_changes(packed: Sequence[Any]) -> Changes:
    labels, outcomes, weights, gains = packed
    seen: list[tuple[int, OutcomeKey]] = [(h, (o, item, ts)) for h, o, item, ts in outcomes]
    return Changes(
        [
            LabelChange(
                np.frombuffer(handles, np.int64),
                np.frombuffer(label, np.float64),
                np.frombuffer(label_ts, np.int64),
            )
            for handles, label, label_ts in labels
        ],
        seen,
        weights,
        gains,
    )


def _pack_early(early: EarlyRecord) -> list[Any]:
    record = early.record
    return [
        early.number,
        early.arrived,
        record.source,
        record.partition,
        record.offsets[0],
        record.keys[0],
        record.values[0],
        record.timestamps[0],
        [list(header) for header in record.headers[0]],
        early.batch_row,
    ]


def _unpack_early(packed: Sequence[Any]) -> EarlyRecord:
    number, arrived, source, partition, offset, key, value, timestamp, headers, batch_row = packed
    record = Chunk(
        source,
        partition,
        [offset],
        [key],
        [value],
        [timestamp],
        [tuple((name, text) for name, text in headers)],
    )
    return EarlyRecord(number, arrived, record, batch_row)
