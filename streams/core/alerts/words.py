"""Numbers, times and names as they appear in the sentences of alerts."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from streams.config.durations import format_duration
from streams.core.alerts.judgement import Series, Span
from streams.core.partials import ALL
from streams.payloads import Contributor

_DASH = "\N{EN DASH}"
_MOST_NAMED = 3


def number(value: float, digits: int = 2) -> str:
    """Write a number with so many significant digits; whole parts are never rounded away.

    >>> number(0.7142), number(0.8), number(1234.5), number(15.26), number(3.0)
    ('0.71', '0.80', '1,234', '15', '3.0')
    """
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4:
        return f"{value:.{digits}g}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def apart(value: float, limit: float) -> tuple[str, str]:
    """Write two numbers with as many digits as it takes to see which one is larger.

    >>> apart(0.7986, 0.8), apart(0.71, 0.8)
    (('0.799', '0.800'), ('0.71', '0.80'))
    """
    for digits in range(2, 9):
        written = number(value, digits), number(limit, digits)
        if written[0] != written[1] or value == limit:
            break
    return written


def metric_name(metric: str) -> str:
    """Write a metric's name as words: ``roc_auc`` is "ROC AUC", ``ndcg_at_5`` "NDCG at 5".

    >>> metric_name("absolute_error_p95")
    'absolute error p95'
    """
    upper = {"roc", "auc", "ndcg", "mrr", "map", "mae", "rmse", "mape", "me", "ctr", "cvr", "psi"}
    return " ".join(w.upper() if w in upper else w for w in metric.split("_"))


def place(model: str, series: Series) -> str:
    """Name what an alert is about: "fraud", "fraud v3", "fraud v3, country=DE"."""
    version = "" if series.version == ALL else f" version {series.version}"
    segment = "" if series.segment == ALL else f", {series.segment}"
    return f"{model}{version}{segment}"


def clock(timestamp: int) -> str:
    """Write the time of day in UTC, with seconds only where they matter."""
    moment = datetime.fromtimestamp(timestamp / 1000, UTC)
    return moment.strftime("%H:%M" if timestamp % 60_000 == 0 else "%H:%M:%S")


def day_and_clock(timestamp: int) -> str:
    """Write day and time of day in UTC."""
    return f"{datetime.fromtimestamp(timestamp / 1000, UTC):%d %b} {clock(timestamp)}"


def span(window: Span) -> str:
    """Write a window's time, with days where it begins and ends on different ones."""
    if window.start // 86_400_000 == window.end // 86_400_000:
        return f"{clock(window.start)}{_DASH}{clock(window.end)} UTC"
    return f"{day_and_clock(window.start)} {_DASH} {day_and_clock(window.end)} UTC"


def duration(milliseconds: int) -> str:
    """Write a duration in at most two units.

    >>> duration(950), duration(65_000), duration(3_600_000), duration(5_430_000)
    ('950ms', '1m 5s', '1h', '1h 30m')
    """
    if milliseconds < 1_000:
        return format_duration(milliseconds)
    rest = milliseconds // 1_000
    parts: list[tuple[int, str]] = []
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, seconds)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count}{unit}" for count, unit in parts[:2] if count)


def counted(n: int, noun: str) -> str:
    """Write a number of things.

    >>> counted(1, "label"), counted(1200, "label")
    ('1 label', '1,200 labels')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def named(contributors: Sequence[Contributor]) -> str:
    """Name the first few contributors with their values: "amount 0.41, age 0.30 and 2 more"."""
    shown = contributors[:_MOST_NAMED]
    texts = [c.name if c.value is None else f"{c.name} {number(c.value)}" for c in shown]
    left = len(contributors) - len(shown)
    listed = ", ".join(texts)
    return f"{listed} and {left} more" if left else listed
