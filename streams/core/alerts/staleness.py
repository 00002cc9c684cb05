"""Rule: predictions or truth stopped coming."""

from streams.config.alerts import StalenessRule
from streams.core.alerts.judgement import Judgement, Series
from streams.core.alerts.words import day_and_clock, duration, place
from streams.core.monitor.events import TimePassed
from streams.core.partials import ALL


def judge(rule: StalenessRule, event: TimePassed) -> list[Judgement]:
    """Judge how long nothing has come, by event time.

    What never came is missed since watching began.
    """
    kinds = (
        ("predictions", rule.predictions_after, event.last_prediction),
        ("labels", rule.labels_after, event.last_label),
    )
    return [
        _judge_kind(rule, event, subject, limit, last)
        for subject, limit, last in kinds
        if limit is not None
    ]


def _judge_kind(
    rule: StalenessRule, event: TimePassed, subject: str, limit: int, last: int
) -> Judgement:
    series = Series(rule.name, ALL, ALL, subject)
    silent = max(0, event.now - max(last, event.watched_since))
    stale = silent > limit

    def sentence() -> str:
        since = (
            f"since watching began at {day_and_clock(event.watched_since)} UTC"
            if last < event.watched_since
            else f"since {day_and_clock(last)} UTC"
        )
        told = (
            f"no {subject} for {duration(silent)}, {since}; the limit is {duration(limit)}"
            if stale
            else f"{subject} are coming again; the last is {duration(silent)} old"
        )
        return f"{place(event.model, series)}: {told}"

    return Judgement(
        series=series,
        at=event.now,
        breached=stale,
        cleared=not stale,
        metric=f"{subject}_age_seconds",
        value=silent / 1000,
        threshold=limit / 1000,
        n=0,
        summary=sentence,
    )
