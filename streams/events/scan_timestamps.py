"""Timestamps of single events as they stand in JSON, to milliseconds since the epoch.

The rules are those of ``streams.events.timestamps``; what is not plainly valid is left to it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from streams.compiled import loop, signed
from streams.events.scan_numbers import read_number
from streams.events.timestamps import EARLIEST, LATEST

Bytes = NDArray[np.uint8]

_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_INTEGERS_FROM = 2.0**52
"""From here on doubles have no fractions; adding and taking it away rounds half to even."""


@loop
def read_time(data: Bytes, i: int, end: int) -> tuple[int, bool]:
    """Read a well-formed value; returns ms and whether it could be read."""
    if data[i] == 34:
        return _read_text(data, i + 1, end - 1)
    if not 48 <= data[i] <= 57:
        return 0, False
    whole = end - i <= 18
    number = 0
    for k in range(i, end):
        if not 48 <= data[k] <= 57:
            whole = False
            break
        number = number * 10 + signed(data[k]) - 48
    if whole:
        if number < 10**11:
            return number * 1000, True
        if number < 10**14:
            return number, True
        return number // (1000 if number < 10**17 else 1_000_000), True
    value, _, known = read_number(data, i, end)
    if not known or value >= 1e18:
        return 0, False
    if value < 1e11:
        return signed((value * 1e3 + _INTEGERS_FROM) - _INTEGERS_FROM), True
    if value < 1e14:
        return signed((value + _INTEGERS_FROM) - _INTEGERS_FROM), True
    return signed(math.floor(value / (1e3 if value < 1e17 else 1e6))), True


@loop
def _pair(data: Bytes, i: int) -> int:
    """Read two digits; -1000 where there are none."""
    ten, one = signed(data[i]) - 48, signed(data[i + 1]) - 48
    return ten * 10 + one if 0 <= ten <= 9 and 0 <= one <= 9 else -1000


@loop
def _read_text(data: Bytes, i: int, end: int) -> tuple[int, bool]:
    """Read RFC 3339 with an offset: 2026-11-20T10:00:00.000Z."""
    size = end - i
    if size < 20 or size > 64:
        return 0, False
    zulu = data[end - 1] == 90 or data[end - 1] == 122
    stop = end - 1 if zulu else end - 6  # behind the seconds and their fraction
    if stop < i + 19 or stop == i + 20:
        return 0, False
    century, years, month, day = (
        _pair(data, i), _pair(data, i + 2), _pair(data, i + 5), _pair(data, i + 8),
    )  # fmt: skip
    hour, minute, second = _pair(data, i + 11), _pair(data, i + 14), _pair(data, i + 17)
    between = data[i + 10]
    if (
        data[i + 4] != 45 or data[i + 7] != 45 or data[i + 13] != 58 or data[i + 16] != 58
        or not (between | 32 == 116 or between == 32)
        or century < 0 or years < 0 or month < 1 or month > 12 or day < 1
        or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 60
    ):  # fmt: skip
        return 0, False
    year = century * 100 + years
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if year < 1 or day > _DAYS[month] - (1 if month == 2 and not leap else 0):
        return 0, False
    # Days since the epoch, counting years from March so that the leap day comes last.
    shifted = year - (1 if month <= 2 else 0)
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 - 719_468
    days += (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    ts = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000
    if stop > i + 19:
        if data[i + 19] != 46:
            return 0, False
        worth = 100
        for k in range(i + 20, stop):
            digit = signed(data[k]) - 48
            if digit < 0 or digit > 9:
                return 0, False
            ts += worth * digit
            worth //= 10
    if not zulu:
        sign = data[stop]
        hours, minutes = _pair(data, stop + 1), _pair(data, stop + 4)
        if (
            abs(signed(sign) - 44) != 1 or data[stop + 3] != 58
            or hours < 0 or hours > 23 or minutes < 0 or minutes > 59
        ):  # fmt: skip
            return 0, False
        ts -= (-1 if sign == 45 else 1) * (hours * 60 + minutes) * 60_000
    return ts, EARLIEST <= ts <= LATEST
