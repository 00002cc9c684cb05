"""Rule: a sequential detector raised an alarm."""

from streams.config.alerts import DetectorRule
from streams.core.alerts.judgement import Judgement, Series
from streams.core.alerts.words import apart, counted, day_and_clock, duration, place
from streams.core.monitor.events import DriftDetected
from streams.core.partials import ALL

_WATCHED = {
    "error": "the mean error",
    "score": "the mean score",
    "prediction": "the mean prediction",
}


def judge(rule: DetectorRule, event: DriftDetected) -> list[Judgement]:
    """Judge an alarm: a breach, whenever the detector is the rule's."""
    if rule.detector not in {event.config.name, event.config.kind}:
        return []
    payload = event.payload
    series = Series(rule.name, ALL, ALL, event.config.name)
    watched = _WATCHED.get(payload.on, payload.on.removeprefix("feature:"))
    before, after = payload.estimation_before, payload.estimation_after
    if before is None or after is None:
        moved, metric, value, threshold = "changed", "alarms", float(payload.alarms), 0.0
    else:
        was, became = apart(before, after)
        moved, metric, value, threshold = f"moved from {was} to {became}", payload.on, after, before
    return [
        Judgement(
            series=series,
            at=event.now,
            breached=True,
            cleared=False,
            metric=metric,
            value=value,
            threshold=threshold,
            n=payload.n,
            summary=lambda: (
                f"{place(payload.model, series)}: {watched} {moved} at {day_and_clock(event.now)} "
                f"UTC, found by {event.config.name} after {counted(payload.n, 'item')}"
            ),
        )
    ]


def judge_silence(
    rule: DetectorRule, model: str, series: Series, alarmed_at: int, now: int
) -> Judgement | None:
    """Judge an open alert when time passes: clear once the hold is over, else nothing.

    Args:
        rule: the rule.
        model: the model's name.
        series: the open alert's series.
        alarmed_at: event time of its last alarm, ms.
        now: event time, ms.
    """
    if now - alarmed_at < rule.hold:
        return None
    return Judgement(
        series=series,
        at=now,
        breached=False,
        cleared=True,
        metric="seconds_since_alarm",
        value=(now - alarmed_at) / 1000,
        threshold=rule.hold / 1000,
        n=0,
        summary=lambda: (
            f"{place(model, series)}: {series.subject} has been quiet for "
            f"{duration(now - alarmed_at)}, since {day_and_clock(alarmed_at)} UTC"
        ),
    )
