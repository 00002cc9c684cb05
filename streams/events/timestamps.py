"""Event timestamps: RFC 3339 or numbers of any usual unit, to milliseconds since the epoch.

Numbers are seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude: below 1e11
seconds (year 5138), below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds. Each value
is read by itself, so the same value gives the same time in any company.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.events.columns import Bools, Ints

#: Limits of what counts as a timestamp, ms: the years 1 to 9999.
EARLIEST = -62_135_596_800_000
LATEST = 253_402_300_799_999

_DAYS_IN_MONTH = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_SEPARATORS = ((4, b"-"), (7, b"-"), (13, b":"), (16, b":"))
_BODY = 19  # characters of 2026-11-20T10:00:00


def to_ms(column: Sequence[object]) -> tuple[Ints, Bools | None]:
    """Read a column of timestamps.

    Returns:
        Milliseconds since the epoch (0 where invalid) and a mask of the invalid ones, None when
        all are valid.
    """
    kinds = set(map(type, column))
    if kinds == {str}:
        ts, bad = _from_strings(column)  # type: ignore[arg-type]  # every type is str
    elif kinds == {int}:
        ts, bad = _from_ints(column)  # type: ignore[arg-type]  # every type is int
    elif kinds == {float}:
        ts, bad = _from_floats(np.array(column, dtype=np.float64))
    else:
        ts = np.zeros(len(column), dtype=np.int64)
        bad = np.ones(len(column), dtype=np.bool_)
        for kind in kinds & {str, int, float}:
            index = [i for i, value in enumerate(column) if type(value) is kind]
            part, part_bad = to_ms([column[i] for i in index])
            ts[index] = part
            bad[index] = False if part_bad is None else part_bad
    bad |= (ts < EARLIEST) | (ts > LATEST)
    if not bad.any():
        return ts, None
    ts[bad] = 0
    return ts, bad


def _from_ints(column: Sequence[int]) -> tuple[Ints, Bools]:
    try:
        numbers = np.fromiter(column, np.int64, count=len(column))
    except OverflowError:
        numbers = np.fromiter(
            (value if abs(value) < 2**63 else -(2**63) for value in column), np.int64, len(column)
        )
    bad = numbers == -(2**63)  # stands for all that do not fit
    size = np.abs(np.where(bad, 0, numbers))
    ts = np.select(
        [size < 10**11, size < 10**14, size < 10**17],
        [numbers * 1000, numbers, numbers // 1000],
        numbers // 1_000_000,
    )
    return ts, bad


def _from_floats(numbers: NDArray[np.float64]) -> tuple[Ints, Bools]:
    size = np.abs(numbers)
    bad = ~(size < 1e20)
    numbers = np.where(bad, 0.0, numbers)
    # Decimal fractions of seconds have no exact binary form, so those are rounded, not cut.
    ts = np.select(
        [size < 1e11, size < 1e14, size < 1e17],
        [np.rint(numbers * 1e3), np.rint(numbers), np.floor(numbers / 1e3)],
        np.floor(numbers / 1e6),
    )
    return ts.astype(np.int64), bad


def _from_strings(column: Sequence[str]) -> tuple[Ints, Bools]:
    """Read strings in groups of equal shape, each group as one matrix of characters."""
    ts = np.zeros(len(column), dtype=np.int64)
    bad = np.ones(len(column), dtype=np.bool_)
    shapes = {(len(text), text[-1:] in {"Z", "z"}) for text in column}
    for size, zulu in shapes:
        if not _BODY < size <= 64:
            continue
        if len(shapes) == 1:
            index, texts = None, column
        else:
            index = [
                i
                for i, text in enumerate(column)
                if len(text) == size and (text[-1] in {"Z", "z"}) == zulu
            ]
            texts = [column[i] for i in index]
        raw = "".join(texts).encode("ascii", errors="replace")
        part, part_bad = _from_matrix(np.frombuffer(raw, np.uint8).reshape(-1, size), zulu=zulu)
        if index is None:
            return part, part_bad
        ts[index] = part
        bad[index] = part_bad
    return ts, bad


def _from_matrix(text: NDArray[np.uint8], *, zulu: bool) -> tuple[Ints, Bools]:
    size = text.shape[1]
    end = size - 1 if zulu else size - 6
    fraction = end - _BODY  # characters of ".123", or 0
    if fraction < 0 or fraction == 1:
        return np.zeros(len(text), dtype=np.int64), np.ones(len(text), dtype=np.bool_)
    digits = text.astype(np.int64) - ord("0")
    numeric = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, *range(_BODY + 1, end)]
    if not zulu:
        numeric += [end + 1, end + 2, end + 4, end + 5]
    checked = digits[:, numeric]
    bad = ((checked < 0) | (checked > 9)).any(axis=1)
    for position, mark in _SEPARATORS:
        bad |= text[:, position] != mark[0]
    bad |= ~np.isin(text[:, 10], (ord("T"), ord("t"), ord(" ")))
    if fraction:
        bad |= text[:, _BODY] != ord(".")

    def pair(position: int) -> Ints:
        two: Ints = digits[:, position] * 10 + digits[:, position + 1]
        return two

    year, month, day = pair(0) * 100 + pair(2), pair(5), pair(8)
    hour, minute, second = pair(11), pair(14), pair(17)
    bad |= (month < 1) | (month > 12) | (day < 1) | (hour > 23) | (minute > 59) | (second > 60)
    month = np.where(bad, 1, month)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    bad |= day > _DAYS_IN_MONTH[month] - ((month == 2) & ~leap)

    # Days since the epoch, counting years from March so that the leap day comes last.
    shifted = year - (month <= 2)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719_468
    ts = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000
    for place in range(min(3, fraction - 1)):
        ts += digits[:, _BODY + 1 + place] * (100, 10, 1)[place]
    if not zulu:
        sign = text[:, end]
        offset_hour, offset_minute = pair(end + 1), pair(end + 4)
        bad |= (sign != ord("+")) & (sign != ord("-"))
        bad |= (text[:, end + 3] != ord(":")) | (offset_hour > 23) | (offset_minute > 59)
        ts -= np.where(sign == ord("-"), -1, 1) * (offset_hour * 60 + offset_minute) * 60_000
    ts[bad] = 0
    return ts, bad
