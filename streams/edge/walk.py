"""The compiled loop over the records of Kafka's batches (message format 2).

A record is: length, attributes (one byte), timestamp delta, offset delta, key, value, headers; all
numbers are zigzag varints, and a key or value is its size and its bytes, with size -1 for none.
https://kafka.apache.org/documentation/#recordformat
"""

from typing import Any

import numpy as np

from streams.compiled import kernel
from streams.wire import NULL

AT, SIZE, BASE, NEXT, STAMP, STEP, COUNT, BATCH_COLUMNS = range(8)
"""Columns of a batch: where its records begin, their bytes, offset of the first, offset after the
batch, timestamp that deltas count from, what a delta is multiplied with (1, or 0 when the broker
set one time for the whole batch), number of records."""

OFFSET, TIMESTAMP, KEY_AT, KEY_SIZE, VALUE_AT, VALUE_SIZE, HEADERS_AT, RECORD_ROWS = range(8)
"""Rows of the table of records, as in ``wire.Packed``; ``HEADERS_AT`` is where the number of
headers stands, -1 when it is 0."""

_LAST_SHIFT = np.uint64(63)
_SEVEN_BITS = np.uint64(0x7F)
_MORE = np.uint64(0x80)
_ONE = np.uint64(1)
_SEVEN = np.uint64(7)


@kernel
def read_varint(data: Any, at: int, end: int) -> tuple[int, int]:
    """Read a zigzag varint of ``data[at:end]``.

    Args:
        data: bytes; shape [bytes], uint8.
        at: where it begins.
        end: where reading must stop.

    Returns:
        The number and where it ends; -1 for the latter when it is damaged or cut off.
    """
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift <= _LAST_SHIFT:
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & _SEVEN_BITS) << shift
        if byte < _MORE:
            return int(np.int64(value >> _ONE) ^ -np.int64(value & _ONE)), at
        shift += _SEVEN
    return 0, -1


@kernel
def _behind_headers(data: Any, at: int, end: int, count: int) -> int:
    """Return where ``count`` headers end, -1 when they are damaged."""
    for _ in range(count):
        size, at = read_varint(data, at, end)
        if at < 0 or size < 0 or size > end - at:
            return -1
        size, at = read_varint(data, at + size, end)
        if at < 0 or size > end - at:
            return -1
        at += max(size, 0)
    return at


@kernel
def walk(data: Any, batches: Any, position: int, table: Any) -> tuple[int, int]:
    """Find all records of some batches.

    Records before the position are left out, as are any that do not come in the order of their
    offsets.

    Args:
        data: bytes of the batches' records, not compressed; shape [bytes], uint8.
        batches: what the headers of the batches say; shape [batches, BATCH_COLUMNS].
        position: offset of the first record that is wanted.
        table: filled with the records; shape [RECORD_ROWS, at least the sum of all counts].

    Returns:
        How many records were filled in, and how many batches were read to their end; when the
        latter is less than all of them, the next one is damaged.
    """
    filled = 0
    for batch in range(len(batches)):
        at = batches[batch, AT]
        stop = at + batches[batch, SIZE]
        begun = filled
        for _ in range(batches[batch, COUNT]):
            length, at = read_varint(data, at, stop)
            if at < 0 or length < 1 or length > stop - at:
                return begun, batch
            end = at + length
            stamp, at = read_varint(data, at + 1, end)  # behind the attributes, all unused
            if at < 0:
                return begun, batch
            delta, at = read_varint(data, at, end)
            if at < 0 or delta < 0 or delta >= batches[batch, NEXT] - batches[batch, BASE]:
                return begun, batch
            key_size, key_at = read_varint(data, at, end)
            if key_at < 0 or key_size > end - key_at:
                return begun, batch
            value_size, value_at = read_varint(data, key_at + max(key_size, 0), end)
            if value_at < 0 or value_size > end - value_at:
                return begun, batch
            headers_at = value_at + max(value_size, 0)
            headers, at = read_varint(data, headers_at, end)
            if at < 0 or headers < 0:
                return begun, batch
            if headers > 0:
                at = _behind_headers(data, at, end, headers)
            if at != end:
                return begun, batch
            offset = batches[batch, BASE] + delta
            if offset < position:
                continue
            position = offset + 1
            table[OFFSET, filled] = offset
            table[TIMESTAMP, filled] = batches[batch, STAMP] + stamp * batches[batch, STEP]
            table[KEY_AT, filled] = key_at
            table[KEY_SIZE, filled] = max(key_size, NULL)
            table[VALUE_AT, filled] = value_at
            table[VALUE_SIZE, filled] = max(value_size, NULL)
            table[HEADERS_AT, filled] = headers_at if headers > 0 else -1
            filled += 1
        if at != stop:
            return begun, batch
        position = max(position, batches[batch, NEXT])
    return filled, len(batches)
