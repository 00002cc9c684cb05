"""Points in time as files write them."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_READ_AS_MS = range(10**11, 10**14)

EARLIEST_MS = -62_135_596_800_000
"""The year 1."""
LATEST_MS = 253_402_300_799_999
"""The end of the year 9999."""


def to_ms(value: Any) -> int:
    """Return milliseconds since the epoch.

    Args:
        value: RFC 3339 text, "YYYY-MM-DD HH:MM:SS" or "YYYY-MM-DD"; a date or datetime; or a
            number, also as text: seconds, ms, us or ns since the epoch by magnitude (below 1e11,
            1e14, 1e17, and above). Times without a zone are UTC.

    Raises:
        ValueError: when the value is no point in time.
    """
    return from_ms(_read(_parse(value.strip()) if isinstance(value, str) else value))


def from_ms(ms: int | None) -> int:
    """Return milliseconds since the epoch unchanged.

    Raises:
        ValueError: when they are none, or beyond the years 1 to 9999.
    """
    if ms is None or not EARLIEST_MS <= ms <= LATEST_MS:
        raise ValueError("not a point in time")
    return ms


def _read(value: Any) -> int | None:
    if isinstance(value, datetime):
        zoned = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return (zoned - _EPOCH) // _MILLISECOND
    if isinstance(value, date):
        return (datetime(value.year, value.month, value.day, tzinfo=UTC) - _EPOCH) // _MILLISECOND
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    size = abs(value)
    if size < 1e11:
        return round(value * 1_000)
    if size < 1e14:
        return round(value)
    return int(value // 1_000 if size < 1e17 else value // 1_000_000)


def to_wire(ms: int) -> int | str:
    """Return the timestamp that an event carries: a number, unless its magnitude would mislead."""
    if ms in _READ_AS_MS:
        return ms
    return (_EPOCH + ms * _MILLISECOND).isoformat(timespec="milliseconds")


def _parse(text: str) -> Any:
    for read in (datetime.fromisoformat, int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return None
