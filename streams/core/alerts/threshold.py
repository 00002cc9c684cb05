"""Rule: a metric passes a limit, or becomes worse than in the reference."""

from streams.config.alerts import ThresholdRule
from streams.config.metrics import DISTINCT, OPERATION, worse_when
from streams.core.alerts.context import Context, metric_of, series_of, span_of
from streams.core.alerts.judgement import Judgement, no_evidence
from streams.core.alerts.limits import Limit
from streams.core.alerts.words import counted, metric_name, number, place, span
from streams.core.monitor.events import WindowClosed
from streams.core.partials import ALL
from streams.payloads import Contributor, MetricValue, View

VOLUME_METRICS = frozenset({"predictions", "predictions_per_second"})
"""Metrics that are themselves about how much there is: no least number of samples applies."""

TRAFFIC_METRICS = frozenset({DISTINCT, *OPERATION, "ctr", "cvr", "value_per_prediction"}) - {
    f"label_delay_{quantile}" for quantile in ("p50", "p95", "p99")
}
"""Metrics that exist by the time of the prediction alone, because they need its traffic."""

_WORST_SEGMENTS = 5


def view_of(rule: ThresholdRule) -> View:
    """Choose the view that a rule watches.

    Shares of the traffic, and windows that must have a share of their truth, exist by the time
    of the prediction alone.
    """
    if rule.metric in TRAFFIC_METRICS or rule.min_coverage > 0:
        return "prediction_time"
    return rule.view


def limits_of(rule: ThresholdRule, context: Context) -> list[Limit]:
    """Give the limits of a rule; none when its only limit needs a reference that is not there."""
    limits = []
    if rule.below is not None:
        limits.append(Limit("below", rule.below, rule.clear_above))
    if rule.above is not None:
        limits.append(Limit("above", rule.above, rule.clear_below))
    reference = context.model.reference
    known = None if reference is None else reference.metrics.get(rule.metric)
    if rule.relative_to_reference is not None and known is not None:
        share = rule.relative_to_reference
        slack = share * abs(known)
        note = f"{number(100 * share)} % worse than the reference's {number(known, 3)}"
        if worse_when(rule.metric) == "lower":
            limits.append(Limit("below", known - slack, rule.clear_above, note))
        else:
            limits.append(Limit("above", known + slack, rule.clear_below, note))
    return limits


def judge(rule: ThresholdRule, event: WindowClosed, context: Context) -> list[Judgement]:
    """Judge a metric in one window."""
    payload = event.payload
    if payload.view != view_of(rule) or not context.watches(event, rule.window):
        return []
    limits = limits_of(rule, context)
    if not limits:
        return []
    series, window = series_of(rule.name, event), span_of(event)
    metric = metric_of(event, rule.metric)
    enough = metric is not None and (metric.n >= rule.min_samples or rule.metric in VOLUME_METRICS)
    covered = (payload.label_coverage or 0.0) >= rule.min_coverage
    if metric is None or not enough or not covered:
        return [no_evidence(series, event.now, window)]
    value = metric.value
    limit = next((limit for limit in limits if limit.breached(value)), limits[0])
    breached = limit.breached(value)

    def sentence() -> str:
        written, standing = limit.sentence(value, _unit(rule.metric))
        return (
            f"{place(context.name, series)}: {metric_name(rule.metric)} {written} "
            f"({_sureness(rule, metric)}) {standing} in {span(window)}"
        )

    return [
        Judgement(
            series=series,
            at=event.now,
            breached=breached,
            cleared=all(limit.cleared(value) for limit in limits),
            metric=rule.metric,
            value=value,
            threshold=limit.bound,
            n=metric.n,
            summary=sentence,
            low=metric.low,
            high=metric.high,
            window=window,
            contributors=lambda: _worst_segments(rule, event, context, limit) if breached else (),
        )
    ]


def _unit(metric: str) -> str:
    if metric.startswith("latency_"):
        return " ms"
    return " s" if metric.startswith("label_delay_") else ""


def _sureness(rule: ThresholdRule, metric: MetricValue) -> str:
    noun = "prediction" if rule.metric in TRAFFIC_METRICS else "label"
    samples = counted(round(metric.n), noun)
    if metric.low is None or metric.high is None:
        return samples
    digits = 2 if abs(metric.high - metric.low) > 0.02 * abs(metric.value) else 3
    return f"{number(metric.low, digits)} to {number(metric.high, digits)}, {samples}"


def _worst_segments(
    rule: ThresholdRule, event: WindowClosed, context: Context, limit: Limit
) -> tuple[Contributor, ...]:
    """Name the segments with enough samples that are beyond the limit, the worst first."""
    if event.payload.segment != ALL:
        return ()
    known = context.memory.segment_values(event, rule.metric)
    total = sum(segment.n for segment in known)
    worst = sorted(
        (s for s in known if s.n >= rule.min_samples and limit.breached(s.value)),
        key=lambda s: (-abs(s.value - limit.bound), s.segment),
    )
    return tuple(
        Contributor(name=s.segment, share=s.n / total, value=s.value)
        for s in worst[:_WORST_SEGMENTS]
    )
