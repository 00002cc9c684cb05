"""Single pieces of feedback, from JSON to columns without an object per event.

As with predictions, only what is plainly right is taken; everything else is left.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.compiled import loop
from streams.config.pipeline import LimitsConfig
from streams.events.columns import MISSING, Codes, FeedbackRows, Floats, Ints, RawRows
from streams.events.ids import Ids
from streams.events.interning import Pool, decode_columns, pool_of, spelled
from streams.events.names import names_of
from streams.events.records import SNIFF
from streams.events.scan_json import (
    DONE,
    FALSE,
    NO_FIELD,
    NUMBER,
    STRICT,
    TEXT,
    TRUE,
    Fields,
    fields_of,
    is_missing,
    open_record,
    optional_number,
    optional_token,
    scan_fields,
)
from streams.events.scan_timestamps import read_time
from streams.wire import Chunk

Bytes = NDArray[np.uint8]
Flags = NDArray[np.uint8]

_NAMES = names_of(
    [("prediction_id", "timestamp", "actual", "value", "weight", "event", "item", "columns")]
)
_ID, _TIME, _ACTUAL, _VALUE, _WEIGHT, _EVENT, _ITEM, _BATCH = range(8)

#: Columns of strings.
_TEXTS, _EVENTS, _ITEMS = range(3)


class _Columns(NamedTuple):
    """What is filled, one entry per event that was read; ``codes`` are -1 at first."""

    record: Ints
    id_at: Ints
    id_size: Ints
    ts: Ints
    number: Floats
    value: Floats
    weight: Floats
    flag: Flags
    codes: Codes


def scan_feedback(chunk: Chunk, limits: LimitsConfig) -> tuple[Ints, FeedbackRows, Ints]:
    """Read what is plainly right.

    Returns:
        Records that were read, their rows (whose clock is not known yet), and records that are
        left, ascending.
    """
    packed, n = chunk.packed, len(chunk)
    ints, floats = np.empty((5, n), dtype=np.int64), np.empty((3, n))
    flags, codes = np.empty(n, dtype=np.uint8), np.full((3, n), MISSING, dtype=np.int32)
    columns = _Columns(
        *(ints[0], ints[1], ints[2], ints[3], floats[0], floats[1], floats[2], flags, codes)
    )
    pool = pool_of(3, 3 * n)
    read, odd = _scan(
        packed.data, packed.value_at, packed.value_size, max(SNIFF, limits.max_event_bytes),
        limits.max_id_length, fields_of(_NAMES), pool, columns, ints[4],
    )  # fmt: skip
    record = columns.record[:read]
    words = [
        spelled(tokens, numbers)
        for tokens, numbers in zip(decode_columns(pool, packed.data), codes[:, :read], strict=True)
    ]
    is_bool = flags[:read].view(np.bool_)
    ts = columns.ts[:read]
    rows = FeedbackRows(
        ids=Ids.spans(packed.data, columns.id_at[:read], columns.id_size[:read]),
        ts=ts,
        clock=ts,
        offset=packed.offsets[record],
        number=columns.number[:read],
        text=words[_TEXTS],
        items={},
        is_bool=is_bool if is_bool.any() else None,
        event=words[_EVENTS],
        item=words[_ITEMS],
        value=columns.value[:read],
        weight=columns.weight[:read],
        raw=RawRows(
            [chunk],
            np.zeros(read, dtype=np.int32),
            record.astype(np.int32),
            np.full(read, -1, dtype=np.int32),
        ),
    )
    return record, rows, ints[4, :odd]


@loop
def _scan(
    data: Bytes,
    at: Ints,
    size: Ints,
    longest: int,
    longest_id: int,
    fields: Fields,
    pool: Pool,
    columns: _Columns,
    left: Ints,
) -> tuple[int, int]:
    read = odd = 0
    for record in range(len(at)):
        known = False
        if 0 < size[record] <= longest:
            end = at[record] + size[record]
            known = _read_record(data, at[record], end, longest_id, fields, pool, columns, read)
        if known:
            columns.record[read] = record
            read += 1
        else:
            left[odd] = record
            odd += 1
            for k in range(3):  # it may have filled what the next event will
                columns.codes[k, read] = -1
    return read, odd


@loop
def _read_record(
    data: Bytes,
    i: int,
    end: int,
    longest_id: int,
    fields: Fields,
    pool: Pool,
    columns: _Columns,
    row: int,
) -> bool:
    i = open_record(data, i, end, fields)
    if i < 0:
        return False
    i, _, status = scan_fields(data, i, end, fields, 0, NO_FIELD, NO_FIELD, _BATCH, STRICT)
    kind, at, stop = fields.kind, fields.at, fields.end
    id_size = stop[_ID] - at[_ID] - 2
    if status != DONE or kind[_ID] != TEXT:
        return False
    if not 0 < id_size <= longest_id or (kind[_TIME] != TEXT and kind[_TIME] != NUMBER):
        return False
    columns.id_at[row] = at[_ID] + 1
    columns.id_size[row] = id_size
    columns.ts[row], known = read_time(data, at[_TIME], stop[_TIME])
    if not known:
        return False
    columns.value[row], known = optional_number(data, fields, _VALUE)
    if not known:
        return False
    weight, known = optional_number(data, fields, _WEIGHT)
    if not known or weight < 0:
        return False
    columns.weight[row] = 1.0 if np.isnan(weight) else weight
    event: int = kind[_EVENT]
    item: int = kind[_ITEM]
    actual: int = kind[_ACTUAL]
    if NUMBER <= event <= FALSE or TRUE <= item <= FALSE:
        return False
    if not (
        optional_token(data, fields, _EVENT, pool, _EVENTS, columns.codes[_EVENTS], row)
        and optional_token(data, fields, _ITEM, pool, _ITEMS, columns.codes[_ITEMS], row)
    ):
        return False
    columns.flag[row] = TRUE <= actual <= FALSE
    columns.number[row] = np.nan
    if columns.flag[row]:
        columns.number[row] = 1.0 if actual == TRUE else 0.0
        return True
    if actual == TEXT:
        return optional_token(data, fields, _ACTUAL, pool, _TEXTS, columns.codes[_TEXTS], row)
    if actual == NUMBER:
        columns.number[row], known = optional_number(data, fields, _ACTUAL)
        return known
    return event == TEXT and is_missing(fields, _ACTUAL)
