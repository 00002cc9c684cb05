"""Decode feedback: labels, ranking truth and outcomes."""

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from streams.config.pipeline import LimitsConfig
from streams.events.batches import check_columns, check_length, row_of
from streams.events.clock import timeline
from streams.events.columns import Bools, Coded, FeedbackRows, Floats, Ints, RawRows
from streams.events.ids import Ids
from streams.events.labels import canonical, encode, numbers
from streams.events.prediction_columns import check_ids
from streams.events.reasons import Reason, Verdicts
from streams.events.records import Places, Reading
from streams.events.timestamps import to_ms
from streams.wire import Chunk

Scalar = str | int | float | bool | None
Actual = str | int | float | bool | list[str | int | float] | dict[str, float] | None
Truth = list[str] | dict[str, float]


class _Event(msgspec.Struct, gc=False):
    prediction_id: str
    timestamp: str | int | float
    actual: Actual = None
    value: float | None = None
    weight: float | None = None
    event: str | None = None
    item: str | int | float | None = None


class _Columns(msgspec.Struct, gc=False):
    prediction_id: list[str]
    timestamp: list[str | int | float] | str | int | float
    actual: list[Actual] | None = None
    value: list[float | None] | None = None
    weight: list[float | None] | None = None
    event: list[str | None] | None = None
    item: list[str | int | float | None] | None = None


class _Batch(msgspec.Struct, gc=False):
    columns: _Columns


_FIELDS = ("prediction_id", "timestamp", "actual", "value", "weight", "event", "item")
_ALL = attrgetter(*_FIELDS)


class FeedbackCodec:
    """Decoders for feedback."""

    def __init__(self) -> None:
        self.strict: Callable[[bytes], Any] = msgspec.json.Decoder(_Event).decode
        self.lenient: Callable[[bytes], Any] = self.strict
        self.batch: Callable[[bytes], Any] = msgspec.json.Decoder(_Batch).decode

    def rows_in(self, batch: Any) -> int:
        """Count the rows of a batch.

        Raises:
            BatchError: columns are of different lengths.
        """
        rows = len(batch.columns.prediction_id)
        for name in _FIELDS:
            check_length(name, getattr(batch.columns, name), rows)
        return rows

    def split(self, document: Any) -> Iterator[dict[str, Any]]:
        """Cut a parsed batch into single events.

        Raises:
            BatchError: its columns do not fit together.
        """
        columns = document["columns"]
        rows = check_columns(columns, _FIELDS)
        held = {name: columns.get(name) for name in _FIELDS}
        return (row_of(held, {}, i) for i in range(rows))

    def convert(self, event: dict[str, Any]) -> Any:
        """Make an event of a dictionary."""
        return msgspec.convert(event, _Event)


class Gathered:
    """The rows of a chunk as they come from single events and batches."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._ordered = True
        self._columns: list[list[Any]] = [[] for _ in _FIELDS]

    def add(self, reading: Reading) -> None:
        """Take decoded records."""
        for events, positions in (reading.strict, reading.lenient):
            if events:
                self._append(positions)
                values = zip(*map(_ALL, events), strict=True)
                for column, more in zip(self._columns, values, strict=True):
                    column.extend(more)
        for batch, first in reading.batches:
            count = len(batch.columns.prediction_id)
            self._append(range(first, first + count))
            for column, name in zip(self._columns, _FIELDS, strict=True):
                held = getattr(batch.columns, name)
                column.extend(held if isinstance(held, list) else [held] * count)

    def _append(self, positions: Sequence[int]) -> None:
        if self._rows and positions and positions[0] < self._rows[-1]:
            self._ordered = False
        self._rows += positions

    def in_order(self) -> tuple[list[int], list[list[Any]]]:
        """Give the rows and their columns, in topic order."""
        rows, columns = self._rows, self._columns
        if self._ordered:
            return rows, columns
        order = sorted(range(len(rows)), key=rows.__getitem__)
        return [rows[i] for i in order], [[column[i] for i in order] for column in columns]


def feedback_rows(
    gathered: Gathered, chunk: Chunk, places: Places, verdicts: Verdicts, longest_id: int
) -> tuple[Ints, FeedbackRows]:
    """Make columns of decoded feedback; rejections are added to ``verdicts``.

    Returns:
        Which rows of the chunk they are, and their columns; rejected rows are still among them,
        and the clock is not known yet.
    """
    rows, columns = gathered.in_order()
    order = np.array(rows, dtype=np.int64)
    if not rows:
        return order, FeedbackRows.empty()
    ids, times, actual, value, weight, event, item = columns
    check_ids(ids, rows, longest_id, verdicts)
    ts, bad_ts = to_ms(times)
    _reject(
        bad_ts,
        rows,
        verdicts,
        Reason.TIMESTAMP_INVALID,
        "timestamp: expected RFC 3339 with an offset, or a number",
    )
    number, text, items, is_bool = _truth(actual, rows, verdicts)
    given = numbers(weight)[0]
    weights = np.where(np.isnan(given), 1.0, given)
    _reject(
        weights < 0, rows, verdicts, Reason.WRONG_TYPE, "weight: expected a number of 0 or more"
    )
    events = encode(event)
    nothing = None
    if None in actual:
        nothing = np.array([one is None for one in actual]) & (events.codes < 0)
    _reject(nothing, rows, verdicts, Reason.MISSING_FIELD, "actual: required unless event is given")
    record = places.record[order]
    return order, FeedbackRows(
        ids=Ids.of(ids),
        ts=ts,
        clock=ts,
        offset=chunk.packed.offsets[record],
        number=number,
        text=text,
        items=items,
        is_bool=is_bool,
        event=events,
        item=encode(item),
        value=numbers(value)[0],
        weight=weights,
        raw=RawRows(
            [chunk],
            np.zeros(len(rows), dtype=np.int32),
            record.astype(np.int32),
            places.row[order].astype(np.int32),
        ),
    )


def accepted(
    parts: Sequence[tuple[Ints, FeedbackRows]],
    chunk: Chunk,
    places: Places,
    verdicts: Verdicts,
    limits: LimitsConfig,
    clock: int,
    now_ms: int,
) -> FeedbackRows:
    """Judge event time, drop what is rejected, and put the rest in topic order.

    Args:
        parts: which rows of the chunk, and their columns.
        chunk: the records.
        places: where the rows came from.
        verdicts: rejections so far; those for time are added.
        limits: how far events may be from now.
        clock: running maximum before the chunk.
        now_ms: wall clock, for records without a broker timestamp.
    """
    order = np.concatenate([rows for rows, _ in parts])
    whole = FeedbackRows.concat(held for _, held in parts)
    ts = np.zeros(len(places), dtype=np.int64)
    ts[order] = whole.ts
    running = timeline(ts, None, chunk, places, verdicts, limits, clock, now_ms)
    kept = places.kept(verdicts)[order]
    if not kept.all() or (np.diff(order) < 0).any():
        index = np.flatnonzero(kept)
        index = index[np.argsort(order[index])]
        whole, order = _take(whole, index), order[index]
    whole.clock = running[order]
    return whole


def _take(rows: FeedbackRows, index: Ints) -> FeedbackRows:
    raw = rows.raw
    items = rows.items
    return FeedbackRows(
        ids=rows.ids.take(index),
        ts=rows.ts[index],
        clock=rows.clock[index],
        offset=rows.offset[index],
        number=rows.number[index],
        text=rows.text.take(index),
        items={new: items[old] for new, old in enumerate(index.tolist()) if old in items}
        if items
        else {},
        is_bool=None if rows.is_bool is None else rows.is_bool[index],
        event=rows.event.take(index),
        item=rows.item.take(index),
        value=rows.value[index],
        weight=rows.weight[index],
        raw=RawRows(raw.chunks, raw.chunk[index], raw.record[index], raw.row[index]),
    )


def _truth(
    actual: Sequence[Any], rows: list[int], verdicts: Verdicts
) -> tuple[Floats, Coded, dict[int, Truth], Bools | None]:
    """Split the truth by its type: numbers and bools, strings, ranking truth."""
    kinds = set(map(type, actual))
    # Nearly always all labels are of one type, which needs no look at each.
    if kinds == {bool}:
        return (
            np.array(actual, dtype=np.float64),
            Coded.absent(len(actual)),
            {},
            np.ones(len(actual), dtype=np.bool_),
        )
    if kinds == {str}:
        return np.full(len(actual), np.nan), encode(actual), {}, None
    items: dict[int, Truth] = {}
    if kinds & {list, dict}:
        items = {i: _items(one) for i, one in enumerate(actual) if isinstance(one, (list, dict))}
    flags = np.array([isinstance(one, bool) for one in actual]) if bool in kinds else None
    text = encode([one if isinstance(one, str) else None for one in actual])
    if not kinds <= {int, float, type(None)}:
        actual = [float(one) if isinstance(one, bool) else one for one in actual]
        actual = [one if isinstance(one, (int, float)) else None for one in actual]
    number, huge = numbers(actual)
    _reject(huge, rows, verdicts, Reason.NOT_FINITE, "actual: number out of range")
    return number, text, items, flags


def _items(truth: list[str | int | float] | dict[str, float]) -> Truth:
    return truth if isinstance(truth, dict) else list(map(canonical, truth))


def _reject(
    mask: Bools | None, rows: list[int], verdicts: Verdicts, reason: Reason, detail: str
) -> None:
    if mask is not None and mask.any():
        verdicts.add_all([rows[i] for i in np.flatnonzero(mask)], reason, detail)
