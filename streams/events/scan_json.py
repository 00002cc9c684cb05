"""Walk over JSON bytes, strictly, and find the fields of objects.

What is accepted here is a subset of JSON: text is UTF-8, escapes name no surrogate, numbers are
short, nesting is shallow. Everything else is left to a slower reader, which decides what is wrong
with it, if anything is.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.compiled import loop, signed
from streams.events.interning import Pool, intern
from streams.events.names import Names, find_name
from streams.events.scan_numbers import read_number

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

_DEEPEST = 30
_LONGEST_NUMBER = 40


#: Kinds of values.
ABSENT, TEXT, ESCAPED, NUMBER, TRUE, FALSE, NOTHING, OBJECT, ARRAY = range(9)

#: Stands for none of the fields; -1 stands for one that has no known name.
NO_FIELD = -2

#: How ``scan_fields`` reads known fields.
STRICT, LOOSE = range(2)

#: What ``scan_fields`` found.
ODD, DONE, PAUSED = range(3)


class Fields(NamedTuple):
    """The known fields of one record; arrays have one entry per name.

    Attributes:
        names: names of the fields, all of group 0.
        at: where the value of each begins.
        end: where it ends.
        kind: what it is.
        order: field by its place among the members of the record before.
    """

    names: Names
    at: Ints
    end: Ints
    kind: Ints
    order: Ints


def fields_of(names: Names) -> Fields:
    """Make room for the fields of one record."""
    places = np.zeros((3, len(names.at)), dtype=np.int64)
    return Fields(names, places[0], places[1], places[2], np.full(32, -1, dtype=np.int64))


@loop
def skip_space(data: Bytes, i: int, end: int) -> int:
    """Skip white space."""
    while i < end and (data[i] == 32 or data[i] == 10 or data[i] == 13 or data[i] == 9):
        i += 1
    return i


@loop
def _is_hex(byte: int) -> bool:
    return 48 <= byte <= 57 or 65 <= byte <= 70 or 97 <= byte <= 102


@loop
def skip_string(data: Bytes, i: int, end: int) -> tuple[int, bool]:
    """Skip the string whose quote is at ``i``.

    Returns:
        Where it ends (-1: not well-formed, or with surrogates) and whether it holds escapes.
    """
    escaped = False
    i += 1
    j, stop = np.uint64(i), np.uint64(end)
    while j < stop and data[j] >= 32 and data[j] != 34 and data[j] != 92:
        j += np.uint64(1)
    i = signed(j)
    while i < end:
        byte = data[i]
        if byte == 34:  # "
            return i + 1, escaped
        if byte < 32:
            return -1, escaped
        if byte == 92:  # backslash
            escaped = True
            i += 1
            if i >= end:
                return -1, escaped
            byte = data[i]
            if byte == 117:  # u
                if i + 4 >= end:
                    return -1, escaped
                for k in range(1, 5):
                    if not _is_hex(data[i + k]):
                        return -1, escaped
                lead = data[i + 1] | 32
                if lead == 100 and not 48 <= data[i + 2] <= 55:  # d8.. to df..: surrogates
                    return -1, escaped
                i += 4
            elif not (
                byte == 34 or byte == 92 or byte == 47 or byte == 98 or byte == 102  # noqa: PLR1714 - sets are slow in compiled loops
                or byte == 110 or byte == 114 or byte == 116
            ):  # fmt: skip
                return -1, escaped
        i += 1
    return -1, escaped


@loop
def skip_number(data: Bytes, i: int, end: int) -> int:
    """Skip a number of moderate length and exponent; -1 where there is none."""
    start = i
    if data[i] == 45:  # -
        i += 1
    if i >= end or not 48 <= data[i] <= 57:
        return -1
    if data[i] == 48:
        i += 1
    else:
        while i < end and 48 <= data[i] <= 57:
            i += 1
    if i < end and data[i] == 46:  # .
        i += 1
        first = i
        while i < end and 48 <= data[i] <= 57:
            i += 1
        if i == first:
            return -1
    if i < end and (data[i] == 101 or data[i] == 69):  # e E
        i += 1
        if i < end and (data[i] == 43 or data[i] == 45):
            i += 1
        first = i
        while i < end and 48 <= data[i] <= 57:
            i += 1
        if i == first or i > first + 2:
            return -1
    return i if i - start <= _LONGEST_NUMBER else -1


@loop
def skip_word(data: Bytes, i: int, end: int) -> int:
    """Skip ``true``, ``false`` or ``null``; -1 where there is none of them."""
    if i + 4 <= end:
        a, b, c, d = data[i], data[i + 1], data[i + 2], data[i + 3]
        if a == 116 and b == 114 and c == 117 and d == 101:
            return i + 4
        if a == 110 and b == 117 and c == 108 and d == 108:
            return i + 4
        if (
            i + 5 <= end
            and a == 102 and b == 97 and c == 108 and d == 115 and data[i + 4] == 101
        ):  # fmt: skip
            return i + 5
    return -1


@loop
def _skip_key(data: Bytes, i: int, end: int) -> int:
    """Skip a key and the colon behind it."""
    i = skip_space(data, i, end)
    if i >= end or data[i] != 34:
        return -1
    i, _ = skip_string(data, i, end)
    if i < 0:
        return -1
    i = skip_space(data, i, end)
    if i >= end or data[i] != 58:  # :
        return -1
    return i + 1


@loop
def skip_value(data: Bytes, i: int, end: int) -> int:
    """Skip a value, however nested; returns where it ends, -1 where it is not well-formed."""
    depth = 0
    objects = 0  # one bit per level that is open, 1 for objects
    while True:
        i = skip_space(data, i, end)
        if i >= end:
            return -1
        byte = data[i]
        if byte == 123 or byte == 91:  # noqa: PLR1714 - sets are slow in compiled loops
            depth += 1
            if depth > _DEEPEST:
                return -1
            objects = objects * 2 + (1 if byte == 123 else 0)
            i = skip_space(data, i + 1, end)
            if i >= end:
                return -1
            if data[i] != byte + 2:  # not empty
                if byte == 123:
                    i = _skip_key(data, i, end)
                    if i < 0:
                        return -1
                continue
        elif byte == 34:
            i, _ = skip_string(data, i, end)
        elif byte == 45 or 48 <= byte <= 57:
            i = skip_number(data, i, end)
        else:
            i = skip_word(data, i, end)
        if i < 0:
            return -1
        again = False
        while depth > 0 and not again:
            i = skip_space(data, i, end)
            if i >= end:
                return -1
            inside = objects & 1
            if data[i] == 44:  # ,
                i += 1
                if inside:
                    i = _skip_key(data, i, end)
                    if i < 0:
                        return -1
                again = True
            elif data[i] == (125 if inside else 93):  # } ]
                depth -= 1
                objects >>= 1
                i += 1
            else:
                return -1
        if not again:
            return i


@loop
def skip_loosely(data: Bytes, i: int, end: int) -> int:
    """Skip an array or object whose content the caller will check; -1 where it does not end."""
    depth = 0
    j, stop = np.uint64(i), np.uint64(end)
    while j < stop:
        byte = data[j]
        if byte == 34:
            i, _ = skip_string(data, signed(j), end)
            if i < 0:
                return -1
            j = np.uint64(i)
            continue
        if byte >= 91:
            if byte | 32 == 123:  # { [
                depth += 1
            elif byte | 32 == 125:  # } ]
                depth -= 1
                if depth == 0:
                    return signed(j) + 1
        j += np.uint64(1)
    return -1


@loop
def is_text(data: Bytes, i: int, end: int) -> bool:
    """Check that bytes are UTF-8."""
    high = np.uint8(0)
    for j in range(np.uint64(i), np.uint64(end)):
        high |= data[j]
    if high < 128:
        return True
    while i < end:
        byte = data[i]
        if byte < 128:
            i += 1
            continue
        low, top = 128, 191  # bounds of the second byte
        if 194 <= byte <= 223:
            more = 1
        elif 224 <= byte <= 239:
            more = 2
            if byte == 224:
                low = 160
            elif byte == 237:
                top = 159
        elif 240 <= byte <= 244:
            more = 3
            if byte == 240:
                low = 144
            elif byte == 244:
                top = 143
        else:
            return False
        if i + more >= end or not low <= data[i + 1] <= top:
            return False
        for k in range(2, more + 1):
            if not 128 <= data[i + k] <= 191:
                return False
        i += more + 1
    return True


@loop
def matches(names: Names, name: int, data: Bytes, at: int, end: int) -> bool:
    """Tell whether a name and a quote stand at a place."""
    size = names.size[name]
    if at + size >= end or data[at + size] != 34:
        return False
    left, right = np.uint64(names.at[name]), np.uint64(at)
    for k in range(np.uint64(size)):  # noqa: SIM110 - a kernel has no generators
        if names.data[left + k] != data[right + k]:
            return False
    return True


@loop
def open_record(data: Bytes, i: int, end: int, fields: Fields) -> int:
    """Begin a record; returns where its first member is, or -1."""
    if not is_text(data, i, end):
        return -1
    for field in range(len(fields.kind)):
        fields.kind[field] = ABSENT
    i = skip_space(data, i, end)
    return i + 1 if i < end and data[i] == 123 else -1


@loop
def scan_fields(
    data: Bytes,
    i: int,
    end: int,
    fields: Fields,
    member: int,
    hold: int,
    needed: int,
    foreign: int,
    manner: int,
) -> tuple[int, int, int]:
    """Find the fields of an object, up to one that the caller wants to read itself.

    Args:
        data: the buffer.
        i: where the first member is or, with ``member`` above 0, where a value ended.
        end: where the record ends.
        fields: receives what is found.
        member: how many members precede.
        hold: field at whose value to pause when that is an object, ``NO_FIELD`` for none ...
        needed: ... if this field has been found, or ``NO_FIELD``.
        foreign: field that makes a record odd, or ``NO_FIELD``.
        manner: ``STRICT``, or ``LOOSE`` when the caller will check the arrays and objects among
            the known fields.

    Returns:
        Where scanning stopped, the number of members so far, and ``ODD``, ``DONE`` or ``PAUSED``.
        Records that name a field twice are odd.
    """
    names = fields.names
    while i < end:
        if member > 0:
            if data[i] <= 32:
                i = skip_space(data, i, end)
                if i >= end:
                    return i, member, ODD
            if data[i] == 125:
                i += 1
                if i < end:
                    i = skip_space(data, i, end)
                return i, member, DONE if i == end else ODD
            if data[i] != 44:
                return i, member, ODD
            i += 1
        if i < end and data[i] <= 32:
            i = skip_space(data, i, end)
        if i >= end or data[i] != 34:
            return i, member, ODD
        key = i + 1
        field = fields.order[member & 31]  # records of one producer have their fields in order
        if field >= 0 and matches(names, field, data, key, end):
            i = key + names.size[field] + 1
        else:
            i, escaped = skip_string(data, i, end)
            if i < 0 or escaped:
                return i, member, ODD
            field = find_name(names, 0, data, key, i - 1 - key)
            fields.order[member & 31] = field
        if field == foreign:
            return i, member, ODD
        member += 1
        if i < end and data[i] <= 32:
            i = skip_space(data, i, end)
        if i >= end or data[i] != 58:
            return i, member, ODD
        i += 1
        if i < end and data[i] <= 32:
            i = skip_space(data, i, end)
        if i >= end:
            return i, member, ODD
        first = i
        byte = data[i]
        if byte == 34:
            i, escaped = skip_string(data, i, end)
            kind = ESCAPED if escaped else TEXT
        elif byte == 45 or 48 <= byte <= 57:
            i, kind = skip_number(data, i, end), NUMBER
        elif byte == 123 or byte == 91:  # noqa: PLR1714 - sets are slow in compiled loops
            kind = OBJECT if byte == 123 else ARRAY
            if (
                field == hold
                and kind == OBJECT
                and (needed == NO_FIELD or fields.kind[needed] == TEXT)
            ):
                if fields.kind[field] != ABSENT:
                    return i, member, ODD
                fields.kind[field] = OBJECT
                return i, member, PAUSED
            known = manner == LOOSE and field >= 0
            i = skip_loosely(data, i, end) if known else skip_value(data, i, end)
        else:
            kind = TRUE if byte == 116 else FALSE if byte == 102 else NOTHING
            i = skip_word(data, i, end)
        if i < 0:
            return i, member, ODD
        if field >= 0:
            if fields.kind[field] != ABSENT:
                return i, member, ODD
            fields.kind[field] = kind
            fields.at[field] = first
            fields.end[field] = i
    return i, member, ODD


@loop
def is_missing(fields: Fields, field: int) -> bool:
    """Tell whether a field is null or absent."""
    kind: int = fields.kind[field]
    return kind == ABSENT or kind == NOTHING  # noqa: PLR1714 - sets are slow in compiled loops


@loop
def optional_number(data: Bytes, fields: Fields, field: int) -> tuple[float, bool]:
    """Read a field that is a number, null or absent; NaN without one, False for another."""
    if fields.kind[field] == NUMBER:
        value, _, known = read_number(data, fields.at[field], fields.end[field])
        return value, known
    return np.nan, is_missing(fields, field)


@loop
def optional_token(
    data: Bytes, fields: Fields, field: int, pool: Pool, column: int, codes: Codes, at: int
) -> bool:
    """Number the token of a field that is a scalar or absent; False for another."""
    kind = fields.kind[field]
    if kind == ESCAPED or kind >= OBJECT:
        return False
    if kind != ABSENT:
        first = fields.at[field]
        codes[at] = intern(pool, data, column, first, fields.end[field] - first)
    return True
