"""What a rule says about one event: breached, cleared, or no evidence either way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from streams.payloads import Contributor, View


class Series(NamedTuple):
    """What one alert is about, inside one model.

    Attributes:
        rule: name of the rule.
        version: model version, or "*" for all of them together.
        segment: "*" or "name=value".
        subject: feature or detector where one rule can fire for several, otherwise empty.
    """

    rule: str
    version: str
    segment: str
    subject: str = ""


class Span(NamedTuple):
    """The window that was judged; times and size in ms."""

    start: int
    end: int
    size: int
    view: View
    revision: int


@dataclass(slots=True, frozen=True)
class Judgement:
    """One rule's opinion on one series at one moment.

    Attributes:
        series: what is judged.
        at: event time in ms at which it is judged.
        breached: whether the limit is passed; None when there is no evidence either way, such
            as too few samples.
        cleared: whether the value is good enough to resolve on; between the limit and the
            hysteresis bound it is neither breached nor cleared.
        metric: name of what was measured.
        value: what was measured.
        threshold: the limit.
        n: samples behind the value.
        summary: writes one plain sentence with numbers and units; asked only for what is published.
        low: lower end of the value's interval, where known.
        high: upper end.
        p_value: probability of so large a value without a change, where known.
        window: the window, for rules that judge windows.
        contributors: finds what the value is made of, the largest first; asked likewise.
    """

    series: Series
    at: int
    breached: bool | None
    cleared: bool
    metric: str
    value: float
    threshold: float
    n: float
    summary: Callable[[], str]
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    window: Span | None = None
    contributors: Callable[[], tuple[Contributor, ...]] = tuple


def no_evidence(series: Series, at: int, window: Span | None = None) -> Judgement:
    """Say that a series was looked at and nothing can be concluded."""
    return Judgement(
        series=series,
        at=at,
        breached=None,
        cleared=False,
        metric="",
        value=0.0,
        threshold=0.0,
        n=0,
        summary=str,
        window=window,
    )
