"""Batches of predictions, from JSON to the same columns as single events.

A batch is taken as a whole or left as a whole to the typed decoders.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.compiled import loop
from streams.events.class_rules import ROUNDING
from streams.events.columns import Floats, Ints
from streams.events.interning import Pool, intern
from streams.events.names import Names, find_name
from streams.events.scan_json import (
    ABSENT,
    ARRAY,
    DONE,
    ESCAPED,
    LOOSE,
    NO_FIELD,
    NOTHING,
    NUMBER,
    OBJECT,
    PAUSED,
    STRICT,
    TEXT,
    Fields,
    open_record,
    scan_fields,
    skip_loosely,
    skip_number,
    skip_space,
    skip_string,
    skip_value,
    skip_word,
)
from streams.events.scan_numbers import read_number
from streams.events.scan_predictions import (
    BINARY,
    IN_FEATURES,
    IN_SCORE,
    IN_TAGS,
    MULTICLASS,
    OTHERS,
    OUTCOME,
    PARTS,
    PREDICTIONS,
    REGRESSION,
    VARIANTS,
    VERSIONS,
    Columns,
    Memory,
    Plans,
)
from streams.events.scan_timestamps import read_time

Bytes = NDArray[np.uint8]
Flags = NDArray[np.uint8]
Codes = NDArray[np.int32]

HEAD = ("model", "model_version", "columns", "prediction_id")
_MODEL, _VERSION, _COLUMNS, _EVENT = range(4)

PER_ROW = (
    *("prediction_id", "timestamp", "prediction", "score", "latency_ms", "error", "variant"),
    *("features", "tags"),
)
_ID, _TIME, _PREDICTION, _SCORE, _LATENCY, _ERROR, _VARIANT, _FEATURES, _TAGS = range(9)

_MARKED = 1024
"""A batch says that it is one within so many bytes."""


class Found(NamedTuple):
    """Batches among some records, one entry each.

    Attributes:
        model: number of the model, -1 for records that are no batches of a known one.
        rows: how many rows there are.
        fields: begin, end and kind of the version and of each column;
            shape [batches, 3, 1 + columns].
    """

    model: Ints
    rows: Ints
    fields: Ints


@loop
def find_batches(
    data: Bytes,
    at: Ints,
    size: Ints,
    longest: int,
    head: Fields,
    columns: Fields,
    models: Names,
    found: Found,
) -> None:
    """Find batches and what is in them."""
    for k in range(len(at)):
        found.model[k] = -1
        found.rows[k] = 0
        if 0 < size[k] <= longest:
            found.model[k] = _find(data, at[k], at[k] + size[k], head, columns, models, found, k)


@loop
def _find(
    data: Bytes,
    start: int,
    end: int,
    head: Fields,
    columns: Fields,
    models: Names,
    found: Found,
    k: int,
) -> int:
    i = open_record(data, start, end, head)
    if i < 0:
        return -1
    i, member, status = scan_fields(data, i, end, head, 0, _COLUMNS, NO_FIELD, _EVENT, STRICT)
    if status != PAUSED or i - start > _MARKED:
        return -1
    for field in range(len(columns.kind)):
        columns.kind[field] = ABSENT
    stop = skip_loosely(data, i, end)
    if stop < 0:
        return -1
    i, _, status = scan_fields(data, i + 1, stop, columns, 0, NO_FIELD, NO_FIELD, NO_FIELD, LOOSE)
    if status != DONE or columns.kind[_ID] != ARRAY:
        return -1
    _, _, status = scan_fields(data, stop, end, head, member, NO_FIELD, NO_FIELD, _EVENT, STRICT)
    version: int = head.kind[_VERSION]
    if (
        status != DONE or head.kind[_MODEL] != TEXT
        or version == ESCAPED or not (version <= NUMBER or version == NOTHING)
    ):  # fmt: skip
        return -1
    size = head.end[_MODEL] - head.at[_MODEL] - 2
    model = find_name(models, 0, data, head.at[_MODEL] + 1, size)
    if model < 0:
        return -1
    found.rows[k] = _count(data, columns.at[_ID], columns.end[_ID])
    if found.rows[k] < 1:
        return -1
    found.fields[k, 0, 0] = head.at[_VERSION]
    found.fields[k, 1, 0] = head.end[_VERSION]
    found.fields[k, 2, 0] = version
    for field in range(len(columns.kind)):
        found.fields[k, 0, field + 1] = columns.at[field]
        found.fields[k, 1, field + 1] = columns.end[field]
        found.fields[k, 2, field + 1] = columns.kind[field]
    return model


@loop
def first_item(data: Bytes, i: int, end: int) -> int:
    """Go to the first item of the array at ``i``; ``end`` for none."""
    i = skip_space(data, i + 1, end)
    return end if i == end - 1 else i


@loop
def next_item(data: Bytes, i: int, end: int) -> int:
    """Go behind an item to the next; ``end`` behind the last, -1 where no item can follow.

    Arrays were only skipped loosely, so everything is checked here and by the readers of items: all
    that is known is that the last byte closes something.
    """
    if i < 0:
        return -1
    if data[i] <= 32:
        i = skip_space(data, i, end)
        if i >= end:
            return -1
    if data[i] == 44:
        i += 1
        if i < end and data[i] <= 32:
            i = skip_space(data, i, end)
        return i if i < end else -1
    return end if data[i] == 93 and i == end - 1 else -1


@loop
def _count(data: Bytes, i: int, end: int) -> int:
    """Count the items of an array; -1 where it is not well-formed."""
    count = 0
    i = first_item(data, i, end)
    while 0 <= i < end:
        i = next_item(data, skip_value(data, i, end), end)
        count += 1
    return count if i == end else -1


@loop
def read_numbers(
    data: Bytes, i: int, end: int, rows: int, out: Floats, first: int, stride: int
) -> bool:
    """Read an array of numbers and nulls, which leave what is there."""
    i = first_item(data, i, end)
    for row in range(rows):
        if i < 0 or i >= end:
            return False
        byte = data[i]
        if byte == 45 or 48 <= byte <= 57:
            value, i, known = read_number(data, i, end)
            if not known:
                return False
            out[first + row * stride] = value
        elif byte == 110:
            i = skip_word(data, i, end)
        else:
            return False
        # What a compact encoder writes needs no call.
        if i >= 0 and i + 1 < end and data[i] == 44 and data[i + 1] > 32:
            i += 1
        else:
            i = next_item(data, i, end)
    return bool(i == end)


@loop
def skip_plain(data: Bytes, i: int, end: int) -> int:
    """Skip a scalar without escapes; -1 for anything else."""
    byte = data[i]
    if byte == 34:
        i, escaped = skip_string(data, i, end)
        return -1 if escaped else i
    if byte == 45 or 48 <= byte <= 57:
        return skip_number(data, i, end)
    return skip_word(data, i, end)


@loop
def read_tokens(
    data: Bytes,
    i: int,
    end: int,
    rows: int,
    pool: Pool,
    column: int,
    out: Codes,
    first: int,
    stride: int,
) -> bool:
    """Number the tokens of an array of scalars."""
    i = first_item(data, i, end)
    for row in range(rows):
        if i < 0 or i >= end:
            return False
        start = i
        i = skip_plain(data, i, end)
        if i < 0:
            return False
        out[first + row * stride] = intern(pool, data, column, start, i - start)
        i = next_item(data, i, end)
    return bool(i == end)


@loop
def read_ids(
    data: Bytes, i: int, end: int, rows: int, longest: int, at: Ints, size: Ints, first: int
) -> bool:
    """Find the ids of an array of strings."""
    i = first_item(data, i, end)
    for row in range(rows):
        if i < 0 or i >= end or data[i] != 34:
            return False
        start = i
        i = skip_plain(data, i, end)
        if not 2 < i - start <= longest + 2:
            return False
        at[first + row] = start + 1
        size[first + row] = i - start - 2
        i = next_item(data, i, end)
    return bool(i == end)


@loop
def read_times(data: Bytes, i: int, end: int, kind: int, rows: int, out: Ints, first: int) -> bool:
    """Read an array of timestamps, or one for all rows."""
    single = kind == TEXT or kind == NUMBER  # noqa: PLR1714 - sets are slow in compiled loops
    if single:
        value, known = read_time(data, i, end)
        for row in range(rows):
            out[first + row] = value
        return known
    if kind != ARRAY:
        return False
    i = first_item(data, i, end)
    for row in range(rows):
        if i < 0 or i >= end or data[i] >= 91:
            return False
        start = i
        i = skip_plain(data, i, end)
        if i < 0:
            return False
        out[first + row], known = read_time(data, start, i)
        if not known:
            return False
        i = next_item(data, i, end)
    return bool(i == end)


@loop
def _read_flags(data: Bytes, i: int, end: int, rows: int, out: Flags, first: int) -> bool:
    """Read an array of true, false and null."""
    i = first_item(data, i, end)
    for row in range(rows):
        if i < 0 or i >= end:
            return False
        out[first + row] = data[i] == 116
        i = next_item(data, skip_word(data, i, end), end)
    return bool(i == end)


@loop
def scan_batches(
    data: Bytes,
    found: Found,
    longest_id: int,
    plans: Plans,
    pool: Pool,
    columns: Columns,
    memory: Memory,
    fine: Flags,
) -> int:
    """Read the batches that were found.

    Args:
        data: the buffer.
        found: what and where they are.
        longest_id: bytes of the longest id to read.
        plans: what to take of them.
        pool: tokens, column by column of all models.
        columns: receives the rows; ``record`` is the number of the batch.
        memory: of this chunk.
        fine: receives 1 for batches that were read, 0 for those that were not.

    Returns:
        How many rows were read.
    """
    read = number = code = 0
    for k in range(len(fine)):
        fine[k] = 0
        model, rows = found.model[k], found.rows[k]
        if model < 0:
            continue
        width, held = plans.width[model], OTHERS + plans.strings[model]
        if _read_batch(
            data, found, k, longest_id, plans, pool, columns, memory, read, number, code
        ):
            fine[k] = 1
            for row in range(rows):
                columns.record[read + row] = k
                columns.model[read + row] = model
                columns.start[0, read + row] = number + row * width
                columns.start[1, read + row] = code + row * held
            read += rows
            number += rows * width
            code += rows * held
        else:
            for place in range(rows * width):
                columns.numbers[number + place] = np.nan
            for place in range(rows * held):
                columns.codes[code + place] = -1
    return read


@loop
def _read_batch(
    data: Bytes,
    found: Found,
    k: int,
    longest_id: int,
    plans: Plans,
    pool: Pool,
    columns: Columns,
    memory: Memory,
    read: int,
    number: int,
    code: int,
) -> bool:
    model, rows = found.model[k], found.rows[k]
    at, end, kind = found.fields[k, 0, 1:], found.fields[k, 1, 1:], found.fields[k, 2, 1:]
    width, held, column = plans.width[model], OTHERS + plans.strings[model], plans.column[model]
    task = plans.task[model]
    if not read_ids(
        data, at[_ID], end[_ID], rows, longest_id, columns.id_at, columns.id_size, read
    ) or not read_times(data, at[_TIME], end[_TIME], kind[_TIME], rows, columns.ts, read):
        return False
    for row in range(rows):
        columns.number[read + row] = np.nan
        columns.latency[read + row] = np.nan
        columns.error[read + row] = 0
    if found.fields[k, 2, 0] != ABSENT:
        first = found.fields[k, 0, 0]
        version = intern(pool, data, column + VERSIONS, first, found.fields[k, 1, 0] - first)
        for row in range(rows):
            columns.codes[code + VERSIONS + row * held] = version
    for field in (_PREDICTION, _SCORE, _LATENCY, _ERROR, _VARIANT):
        here: int = kind[field]
        if here % NOTHING == ABSENT:  # null or absent
            continue
        first, stop = at[field], end[field]
        if field == _SCORE and here == OBJECT:
            known = task <= MULTICLASS and _read_group(
                data, first, stop, rows, model, IN_SCORE, plans, pool, columns, memory, k, number,
                code,
            )  # fmt: skip
        elif here != ARRAY:
            known = False
        elif field == _LATENCY:
            known = read_numbers(data, first, stop, rows, columns.latency, read, 1)
            for row in range(rows):
                known &= not columns.latency[read + row] < 0
        elif field == _ERROR:
            known = _read_flags(data, first, stop, rows, columns.error, read)
        elif field == _VARIANT:
            known = read_tokens(
                data, first, stop, rows, pool, column + VARIANTS, columns.codes, code + VARIANTS,
                held,
            )  # fmt: skip
        elif field == _SCORE:
            place = number + plans.numeric[model]
            known = read_numbers(data, first, stop, rows, columns.numbers, place, width)
            for row in range(rows):
                value = columns.numbers[place + row * width]
                if task == BINARY:
                    known &= not (value < -ROUNDING or value > 1 + ROUNDING)
                elif task == MULTICLASS:
                    known &= np.isnan(value)
        elif task == REGRESSION:
            known = read_numbers(data, first, stop, rows, columns.number, read, 1)
        else:
            known = read_tokens(
                data, first, stop, rows, pool, column + PREDICTIONS, columns.codes,
                code + PREDICTIONS, held,
            )  # fmt: skip
        if not known:
            return False
    if task == OUTCOME:  # what it says is of no use, and of no consequence
        for row in range(rows):
            columns.codes[code + PREDICTIONS + row * held] = -1
    for part in (IN_FEATURES, IN_TAGS):
        field = _FEATURES if part == IN_FEATURES else _TAGS
        here = kind[field]
        if here == OBJECT:
            if not _read_group(
                data, at[field], end[field], rows, model, part, plans, pool, columns, memory, k,
                number, code,
            ):  # fmt: skip
                return False
        elif here % NOTHING != ABSENT:  # neither null nor absent
            return False
    return True


@loop
def _read_group(
    data: Bytes,
    i: int,
    end: int,
    rows: int,
    model: int,
    part: int,
    plans: Plans,
    pool: Pool,
    columns: Columns,
    memory: Memory,
    batch: int,
    number: int,
    code: int,
) -> bool:
    """Read a object of arrays, one per name."""
    names, group = plans.names, model * PARTS + part
    numeric, width = plans.numeric[model], plans.width[model]
    held, column = OTHERS + plans.strings[model], plans.column[model]
    classes = plans.classes[model]
    i = skip_space(data, i + 1, end)
    if i == end - 1:
        return bool(data[i] == 125)
    if part == IN_SCORE and plans.task[model] == BINARY:
        return False  # two columns of which one is kept: left to others
    while i < end:
        if data[i] != 34:
            return False
        key = i + 1
        i = skip_plain(data, i, end)
        if i < 0:
            return False
        name = find_name(names, group, data, key, i - 1 - key)
        i = skip_space(data, i, end)
        if i >= end or data[i] != 58:
            return False
        i = skip_space(data, i + 1, end)
        if i >= end or data[i] != 91:
            return False
        stop = skip_loosely(data, i, end)
        if stop < 0:
            return False
        if name < 0:
            # It may be a feature of another model, and then has to have as many values.
            if part == IN_SCORE or _count(data, i, stop) != rows:
                return False
        else:
            if memory.seen[name] == batch + 1:
                return False
            memory.seen[name] = batch + 1
            place = name - plans.first[model]
            if part == IN_SCORE:
                first = number + place - plans.strings[model]
                if not read_numbers(data, i, stop, rows, columns.numbers, first, width):
                    return False
            elif place < numeric:
                if not read_numbers(data, i, stop, rows, columns.numbers, number + place, width):
                    return False
            else:
                other = OTHERS + place - numeric
                if not read_tokens(
                    data, i, stop, rows, pool, column + other, columns.codes, code + other, held
                ):
                    return False
        i = skip_space(data, stop, end)
        if i >= end:
            return False
        if data[i] == 125:
            if i != end - 1:
                return False
            break
        if data[i] != 44:
            return False
        i = skip_space(data, i + 1, end)
    if i >= end:
        return False
    if part == IN_SCORE:
        for row in range(rows):
            first = number + numeric + row * width
            found = False
            for k in range(classes):
                found |= not np.isnan(columns.numbers[first + k])
            for k in range(classes):
                value = columns.numbers[first + k]
                if value < -ROUNDING or value > 1 + ROUNDING:
                    return False
                if found and np.isnan(value):
                    columns.numbers[first + k] = 0.0
    return True
