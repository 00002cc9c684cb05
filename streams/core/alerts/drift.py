"""Rule: a distribution moved away from the reference."""

from collections.abc import Iterable, Sequence

from streams.config.alerts import DriftRule
from streams.core.alerts.context import Context, series_of, span_of
from streams.core.alerts.judgement import Judgement, no_evidence
from streams.core.alerts.shapes import shape_of
from streams.core.alerts.words import apart, counted, metric_name, named, place, span
from streams.core.monitor.events import WindowClosed
from streams.payloads import Contributor, Distance

DEFAULT_ABOVE = {"psi": 0.25, "wasserstein": 0.1, "chi_square": 0.1}
"""Limits by distance; a tenth for all others, which lie between 0 and 1."""

_PREFIX = "feature:"
_MOST_FEATURES = 5
_PARTS_EACH = 3
_PARTS_ALONE = 5


def above_of(rule: DriftRule) -> float:
    """Give the rule's limit, or the default of its distance."""
    return DEFAULT_ABOVE.get(rule.distance, 0.1) if rule.above is None else rule.above


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for many tests after Benjamini and Hochberg (1995).

    A test is significant at rate q when its adjusted value is at most q.

    >>> adjusted([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    count = len(p_values)
    order = sorted(range(count), key=lambda index: -p_values[index])
    result = [1.0] * count
    smallest = 1.0
    for rank, index in zip(range(count, 0, -1), order, strict=True):
        smallest = min(smallest, p_values[index] * count / rank)
        result[index] = smallest
    return result


def judge(rule: DriftRule, event: WindowClosed, context: Context) -> list[Judgement]:
    """Judge the distances of one window: of one column, or of all features together."""
    columns = event.payload.drift
    if columns is None or not context.watches(event, context.model.config.drift.window):
        return []
    distances = {
        column: measured[rule.distance]
        for column, measured in columns.items()
        if rule.distance in measured
        and (column.startswith(_PREFIX) if rule.on == "features" else column == rule.on)
    }
    series, window = series_of(rule.name, event), span_of(event)
    enough = {c: d for c, d in distances.items() if d.n >= rule.min_samples}
    if not enough:
        return [no_evidence(series, event.now, window)]
    ranked = sorted(enough.items(), key=lambda item: (-item[1].value, item[0]))
    above = above_of(rule)
    p_values = dict(zip(enough, _p_values(enough.values()), strict=True))
    moved = [
        (column, distance)
        for column, distance in ranked
        if distance.value > above and (rule.p_value is None or p_values[column] <= rule.p_value)
    ]
    needed = min(rule.min_features, len(ranked)) if rule.on == "features" else 1
    breached = len(moved) >= (rule.min_features if rule.on == "features" else 1)
    column, decisive = (moved if breached else ranked)[needed - 1]

    def sentence() -> str:
        told = (
            _breach(rule, moved, len(enough))
            if breached
            else _calm(rule, column, decisive, insignificant=decisive.value > above)
        )
        return f"{place(context.name, series)}: {told} in {span(window)}"

    return [
        Judgement(
            series=series,
            at=event.now,
            breached=breached,
            cleared=not breached,
            metric=rule.distance,
            value=decisive.value,
            threshold=above,
            n=decisive.n,
            summary=sentence,
            p_value=decisive.p_value,
            window=window,
            contributors=lambda: _contributors(rule, moved, event, context) if breached else (),
        )
    ]


def _p_values(distances: Iterable[Distance]) -> list[float]:
    return adjusted([1.0 if d.p_value is None else d.p_value for d in distances])


def _bare(column: str) -> str:
    return column.removeprefix(_PREFIX)


def _breach(rule: DriftRule, moved: list[tuple[str, Distance]], compared: int) -> str:
    distance = metric_name(rule.distance)
    column, largest = moved[0]
    value, limit = apart(largest.value, above_of(rule))
    rows = counted(largest.n, "row")
    if rule.on != "features":
        return (
            f"{_bare(column)} drifted from the reference: {distance} {value} is above {limit} "
            f"({rows})"
        )
    listed = named([Contributor(name=_bare(c), value=d.value) for c, d in moved])
    return (
        f"{len(moved)} of {counted(compared, 'feature')} drifted from the reference: {listed} "
        f"({distance} above {limit}, {rows})"
    )


def _calm(rule: DriftRule, column: str, decisive: Distance, *, insignificant: bool) -> str:
    value, limit = apart(decisive.value, above_of(rule))
    distance = metric_name(rule.distance)
    rows = counted(decisive.n, "row")
    if insignificant:
        return f"drift of {_bare(column)} ({distance} {value}, {rows}) is no longer beyond chance"
    if rule.on == "features" and rule.min_features > 1:
        return (
            f"fewer than {rule.min_features} features drift: number {rule.min_features} by "
            f"{distance} is {_bare(column)} at {value}, no longer above {limit} ({rows})"
        )
    return f"{distance} of {_bare(column)} {value} ({rows}) is no longer above {limit}"


def _contributors(
    rule: DriftRule, moved: list[tuple[str, Distance]], event: WindowClosed, context: Context
) -> tuple[Contributor, ...]:
    """Name the features that moved most, each followed by the parts of it that moved most."""
    found: list[Contributor] = []
    alone = len(moved) == 1
    for column, distance in moved[:_MOST_FEATURES]:
        name = _bare(column)
        if rule.on == "features":
            found.append(Contributor(name=name, value=distance.value))
        shape = shape_of(column, event, context.layout, context.model.reference)
        if shape is not None:
            found += shape.contributors(name, _PARTS_ALONE if alone else _PARTS_EACH)
    return tuple(found)
