"""Single predictions, from JSON to numbers and tokens without an object per event.

Only events that are plainly right are taken; every other one is left to the typed decoders, which
decide what becomes of it. Where both can read an event, both make the same of it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.compiled import loop
from streams.events.class_rules import ROUNDING
from streams.events.columns import Codes, Floats, Ints
from streams.events.interning import Pool, intern
from streams.events.names import Names, find_name
from streams.events.scan_json import (
    ABSENT,
    DONE,
    ESCAPED,
    FALSE,
    NOTHING,
    NUMBER,
    OBJECT,
    PAUSED,
    STRICT,
    TEXT,
    TRUE,
    Fields,
    matches,
    open_record,
    optional_number,
    optional_token,
    scan_fields,
    skip_number,
    skip_space,
    skip_string,
    skip_value,
    skip_word,
)
from streams.events.scan_numbers import read_number
from streams.events.scan_timestamps import read_time

Bytes = NDArray[np.uint8]
Flags = NDArray[np.uint8]

FIELDS = (
    *("prediction_id", "timestamp", "model", "model_version", "prediction", "score", "latency_ms"),
    *("error", "variant", "features", "tags", "columns"),
)
_ID, _TIME, _MODEL, _VERSION, _PREDICTION, _SCORE, _LATENCY = range(7)
_ERROR, _VARIANT, _FEATURES, _TAGS, _BATCH = range(7, 12)

#: Columns of strings of every model; those of features and tags follow.
VERSIONS, VARIANTS, PREDICTIONS, OTHERS = range(4)

#: Numbers of the tasks whose events are read here.
BINARY, MULTICLASS, REGRESSION, OUTCOME = range(4)
TASKS = {"binary": BINARY, "multiclass": MULTICLASS, "regression": REGRESSION, "outcome": OUTCOME}

#: Parts of an event that have names of their own.
IN_FEATURES, IN_TAGS, IN_SCORE = range(3)
PARTS = 3
_EXPECTED = 64  # members of an object whose order is remembered


class Plans(NamedTuple):
    """What to take of events; all arrays but ``names`` have one entry per model.

    Attributes:
        names: numeric features, categorical features, tags and classes of one model after the
            other; the group of a name is its model times ``PARTS`` plus its part.
        task: number of the task.
        first: number of the first name.
        numeric: how many numeric features there are.
        strings: how many categorical features and tags there are.
        classes: how many classes there are.
        positive: index of the positive class.
        column: number of the first column of strings.
        width: how many numbers a row has in ``Columns.numbers``: features, then scores.
    """

    names: Names
    task: Ints
    first: Ints
    numeric: Ints
    strings: Ints
    classes: Ints
    positive: Ints
    column: Ints
    width: Ints


class Columns(NamedTuple):
    """What is filled; one entry per event that was read, in order.

    Attributes:
        record: which record it was.
        model: number of the model.
        id_at: where the id begins in the buffer.
        id_size: bytes of the id.
        ts: ms since the epoch.
        number: the prediction of a regression, NaN without one.
        latency: ms, NaN without one.
        error: 1 for failed predictions.
        start: where the numbers and codes of the row begin; shape [2, events].
        numbers: features and scores of one row after the other, NaN at first.
        codes: tokens of one row after the other, -1 at first.
    """

    record: Ints
    model: Ints
    id_at: Ints
    id_size: Ints
    ts: Ints
    number: Floats
    latency: Floats
    error: Flags
    start: Ints
    numbers: Floats
    codes: Codes


class Memory(NamedTuple):
    """What is known from earlier members and records.

    Attributes:
        order: name by place among the members of the record before; shape [models * PARTS, ...].
        seen: record in which a name was met last, counted from 1.
        scores: probabilities of one event.
    """

    order: Ints
    seen: Ints
    scores: Floats


def memory_of(plans: Plans) -> Memory:
    """Make a memory of nothing."""
    return Memory(
        np.full((len(plans.task) * PARTS, _EXPECTED), -1, dtype=np.int64),
        np.zeros(len(plans.names.at), dtype=np.int64),
        np.empty(int(plans.classes.max())),
    )


@loop
def scan_predictions(
    data: Bytes,
    at: Ints,
    size: Ints,
    longest: int,
    longest_id: int,
    fields: Fields,
    models: Names,
    plans: Plans,
    pool: Pool,
    columns: Columns,
    memory: Memory,
    left: Ints,
) -> tuple[int, int]:
    """Read what is plainly right.

    Args:
        data: the buffer.
        at: where each record begins.
        size: bytes of each record; -1 for none.
        longest: bytes of the longest record to read.
        longest_id: bytes of the longest id to read.
        fields: room for the fields of one record.
        models: names of the models.
        plans: what to take of their events.
        pool: tokens; column by column of all models.
        columns: receives the events.
        memory: of this chunk.
        left: receives the records that were not read.

    Returns:
        How many events were read, and how many records were not.
    """
    read = odd = number = code = 0
    model = -1
    for record in range(len(at)):
        known = False
        if 0 < size[record] <= longest:
            known, model = _read_record(
                data, at[record], at[record] + size[record], longest_id, fields, models, plans,
                pool, columns, memory, record, read, number, code, model,
            )  # fmt: skip
        if known:
            columns.record[read] = record
            columns.model[read] = model
            columns.start[0, read] = number
            columns.start[1, read] = code
            number += plans.width[model]
            code += OTHERS + plans.strings[model]
            read += 1
        else:
            left[odd] = record
            odd += 1
            if model >= 0:  # it may have filled what the next event will
                for k in range(plans.width[model]):
                    columns.numbers[number + k] = np.nan
                for k in range(OTHERS + plans.strings[model]):
                    columns.codes[code + k] = -1
    return read, odd


@loop
def _read_record(
    data: Bytes,
    i: int,
    end: int,
    longest_id: int,
    fields: Fields,
    models: Names,
    plans: Plans,
    pool: Pool,
    columns: Columns,
    memory: Memory,
    record: int,
    row: int,
    number: int,
    code: int,
    last: int,
) -> tuple[bool, int]:
    """Read a record; returns whether it is plainly right, and its model."""
    i = open_record(data, i, end, fields)
    if i < 0:
        return False, -1
    kind, at, stop = fields.kind, fields.at, fields.end
    model = -1
    member = 0
    while True:
        i, member, status = scan_fields(
            data, i, end, fields, member, _FEATURES, _MODEL, _BATCH, STRICT
        )
        if model < 0 and kind[_MODEL] == TEXT:
            size = stop[_MODEL] - at[_MODEL] - 2
            if (
                last >= 0
                and size == models.size[last]
                and matches(models, last, data, at[_MODEL] + 1, end)
            ):
                model = last
            else:
                model = find_name(models, 0, data, at[_MODEL] + 1, size)
        if status != PAUSED:
            break
        if model < 0:
            return False, -1
        i = _read_members(
            data, i, end, model, IN_FEATURES, plans, pool, columns, memory, record, number, code
        )
        at[_FEATURES] = -1  # already read
        if i < 0:
            return False, model
    if status != DONE or model < 0:
        return False, model
    if kind[_FEATURES] == OBJECT:
        if at[_FEATURES] >= 0 and _read_members(
            data, at[_FEATURES], end, model, IN_FEATURES, plans, pool, columns, memory, record,
            number, code,
        ) < 0:  # fmt: skip
            return False, model
    elif kind[_FEATURES] != ABSENT and kind[_FEATURES] != NOTHING:
        return False, model
    if kind[_TAGS] == OBJECT:
        if (
            _read_members(
                data,
                at[_TAGS],
                end,
                model,
                IN_TAGS,
                plans,
                pool,
                columns,
                memory,
                record,
                number,
                code,
            )
            < 0
        ):
            return False, model
    elif kind[_TAGS] != ABSENT and kind[_TAGS] != NOTHING:
        return False, model
    id_size = stop[_ID] - at[_ID] - 2
    if kind[_ID] != TEXT or not 0 < id_size <= longest_id:
        return False, model
    columns.id_at[row] = at[_ID] + 1
    columns.id_size[row] = id_size
    if kind[_TIME] != TEXT and kind[_TIME] != NUMBER:
        return False, model
    columns.ts[row], known = read_time(data, at[_TIME], stop[_TIME])
    if not known:
        return False, model
    columns.latency[row], known = optional_number(data, fields, _LATENCY)
    if not known or columns.latency[row] < 0:
        return False, model
    if kind[_ERROR] == TEXT or kind[_ERROR] == NUMBER or kind[_ERROR] > NOTHING:
        return False, model
    if kind[_ERROR] == ESCAPED:
        return False, model
    columns.error[row] = kind[_ERROR] == TRUE
    if kind[_VERSION] == TRUE or kind[_VERSION] == FALSE:
        return False, model
    first = plans.column[model]
    if not (
        optional_token(data, fields, _VERSION, pool, first + VERSIONS, columns.codes, code)
        and optional_token(
            data, fields, _VARIANT, pool, first + VARIANTS, columns.codes, code + VARIANTS
        )
    ):
        return False, model
    task = plans.task[model]
    columns.number[row] = np.nan
    if task == REGRESSION:
        columns.number[row], known = optional_number(data, fields, _PREDICTION)
    elif task == OUTCOME:
        known = kind[_PREDICTION] < OBJECT and kind[_PREDICTION] != ESCAPED
    else:
        known = optional_token(
            data, fields, _PREDICTION, pool, first + PREDICTIONS, columns.codes, code + PREDICTIONS
        )
    if not known:
        return False, model
    return _read_score(
        data, end, fields, model, plans, pool, columns, memory, record, number, code
    ), model


@loop
def _read_score(
    data: Bytes,
    end: int,
    fields: Fields,
    model: int,
    plans: Plans,
    pool: Pool,
    columns: Columns,
    memory: Memory,
    record: int,
    number: int,
    code: int,
) -> bool:
    task = plans.task[model]
    scores = memory.scores
    place = number + plans.numeric[model]
    if fields.kind[_SCORE] != OBJECT:
        value, known = optional_number(data, fields, _SCORE)
        if not known or (task == MULTICLASS and not np.isnan(value)):
            return False
        if task == BINARY and (value < -ROUNDING or value > 1 + ROUNDING):
            return False
        columns.numbers[place] = value
        return True
    if task > MULTICLASS:
        return False
    for k in range(plans.classes[model]):
        scores[k] = np.nan
    if _read_members(
        data, fields.at[_SCORE], end, model, IN_SCORE, plans, pool, columns, memory, record, number,
        code,
    ) < 0:  # fmt: skip
        return False
    found = False
    for k in range(plans.classes[model]):
        if not np.isnan(scores[k]):
            found = True
            if scores[k] < -ROUNDING or scores[k] > 1 + ROUNDING:
                return False
    if not found:
        return True
    if task == BINARY:
        value = scores[plans.positive[model]]
        if np.isnan(value):
            value = 1.0 - scores[1 - plans.positive[model]]
            if value < -ROUNDING or value > 1 + ROUNDING:
                return False
        columns.numbers[place] = value
        return True
    for k in range(plans.classes[model]):
        columns.numbers[place + k] = 0.0 if np.isnan(scores[k]) else scores[k]
    return True


@loop
def _read_members(
    data: Bytes,
    i: int,
    end: int,
    model: int,
    part: int,
    plans: Plans,
    pool: Pool,
    columns: Columns,
    memory: Memory,
    record: int,
    number: int,
    code: int,
) -> int:
    """Read the object at ``i``; returns where it ends, -1 unless it is plainly right."""
    names, group = plans.names, model * PARTS + part
    order, seen = memory.order, memory.seen
    first_name, numeric = plans.first[model], plans.numeric[model]
    i = skip_space(data, i + 1, end)
    if i < end and data[i] == 125:
        return i + 1
    member = 0
    while i < end:
        if data[i] <= 32:
            i = skip_space(data, i, end)
        if i >= end or data[i] != 34:
            return -1
        key = i + 1
        name = order[group, member & (_EXPECTED - 1)]
        if name >= 0 and matches(names, name, data, key, end):
            i = key + names.size[name] + 1
        else:
            i, escaped = skip_string(data, i, end)
            if i < 0 or escaped:
                return -1
            name = find_name(names, group, data, key, i - 1 - key)
            order[group, member & (_EXPECTED - 1)] = name
        member += 1
        if i < end and data[i] <= 32:
            i = skip_space(data, i, end)
        if i >= end or data[i] != 58:
            return -1
        i += 1
        if i < end and data[i] <= 32:
            i = skip_space(data, i, end)
        if i >= end:
            return -1
        byte = data[i]
        if name < 0:
            if part == IN_SCORE:
                return -1
            i = skip_value(data, i, end)
        else:
            if seen[name] == record + 1:
                return -1
            seen[name] = record + 1
            place = name - first_name
            if place < numeric or part == IN_SCORE:
                if byte == 45 or 48 <= byte <= 57:
                    value, i, known = read_number(data, i, end)
                    if not known:
                        return -1
                    if part == IN_SCORE:
                        memory.scores[place - numeric - plans.strings[model]] = value
                    else:
                        columns.numbers[number + place] = value
                elif byte == 110 and part != IN_SCORE:
                    i = skip_word(data, i, end)
                else:
                    return -1
            else:
                first = i
                escaped = False
                if byte == 34:
                    i, escaped = skip_string(data, i, end)
                elif byte == 45 or 48 <= byte <= 57:
                    i = skip_number(data, i, end)
                else:
                    i = skip_word(data, i, end)
                if i < 0 or escaped:
                    return -1
                column = OTHERS + place - numeric
                columns.codes[code + column] = intern(
                    pool, data, plans.column[model] + column, first, i - first
                )
        if i < 0 or i >= end:
            return -1
        if data[i] <= 32:
            i = skip_space(data, i, end)
            if i >= end:
                return -1
        if data[i] == 125:
            return i + 1
        if data[i] != 44:
            return -1
        i += 1
    return -1
