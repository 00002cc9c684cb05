"""Rule: traffic is too low, too high, or changed too much."""

from streams.config.alerts import VolumeRule
from streams.core.alerts.context import Context, series_of, span_of
from streams.core.alerts.judgement import Judgement, no_evidence
from streams.core.alerts.limits import Limit
from streams.core.alerts.words import counted, duration, number, place, span
from streams.core.monitor.events import WindowClosed
from streams.core.partials import PREDICTION_TIME


def concerns(event: WindowClosed, context: Context) -> bool:
    """Tell whether a window is of the kind that volume rules judge: the largest, by prediction."""
    return event.payload.view == PREDICTION_TIME and context.watches(event, None)


def judge(rule: VolumeRule, event: WindowClosed, context: Context) -> list[Judgement]:
    """Judge the traffic of one window.

    Windows that begin before the first traffic of their series are no evidence: they would look
    half empty. A change is judged when either window has enough predictions and the earlier one
    was not empty.
    """
    if not concerns(event, context):
        return []
    series, window = series_of(rule.name, event), span_of(event)
    if not context.memory.is_whole(event):
        return [no_evidence(series, event.now, window)]
    now = event.payload.predictions or 0
    before = context.memory.predictions_before(event)
    rate = now * 1000 / window.size
    limits = []
    if rule.below is not None:
        limits.append(Limit("below", rule.below))
    if rule.above is not None:
        limits.append(Limit("above", rule.above))
    limit = next((limit for limit in limits if limit.breached(rate)), None)
    change = (
        abs(now - before) / before
        if rule.change is not None and before and max(now, before) >= rule.min_samples
        else None
    )
    subject = place(context.name, series)
    rows = counted(now, "prediction")
    if limit is None and change is not None and rule.change is not None:
        share, allowed = change, rule.change
        direction = "fell" if before and now < before else "rose"
        beyond = share > allowed
        standing = "more than" if beyond else "no more than"
        return [
            Judgement(
                series=series,
                at=event.now,
                breached=beyond,
                cleared=not beyond,
                metric="predictions_change",
                value=share,
                threshold=allowed,
                n=now,
                summary=lambda: (
                    f"{subject}: traffic {direction} by {number(100 * share)} % to {rows} in "
                    f"{span(window)} from {before:,} in the {duration(window.size)} before, "
                    f"{standing} the allowed {number(100 * allowed)} %"
                ),
                window=window,
            )
        ]
    if not limits:
        return [no_evidence(series, event.now, window)]
    shown = limit or limits[0]

    def sentence() -> str:
        written, standing = shown.sentence(rate, " predictions/s")
        return f"{subject}: traffic of {written} ({rows}) {standing} in {span(window)}"

    return [
        Judgement(
            series=series,
            at=event.now,
            breached=limit is not None,
            cleared=limit is None and (rule.change is None or change is not None),
            metric="predictions_per_second",
            value=rate,
            threshold=shown.bound,
            n=now,
            summary=sentence,
            window=window,
        )
    ]
