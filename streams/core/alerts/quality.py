"""Rule: inputs are missing, malformed, out of range, or of unknown categories."""

from streams.config.alerts import QualityRule
from streams.core.alerts.context import Context, series_of, span_of
from streams.core.alerts.judgement import Judgement, no_evidence
from streams.core.alerts.limits import Limit
from streams.core.alerts.words import counted, place, span
from streams.core.monitor.events import WindowClosed
from streams.payloads import Input

_OF_PRESENT = frozenset({"range_violation_rate", "category_violation_rate"})
_FAULTS = {
    "missing_rate": "missing",
    "type_error_rate": "of the wrong type",
    "range_violation_rate": "out of range",
    "category_violation_rate": "of unknown categories",
}


def judge(rule: QualityRule, event: WindowClosed, context: Context) -> list[Judgement]:
    """Judge the features of one window, each on its own."""
    inputs = event.payload.inputs
    if inputs is None or not context.watches(event, None):
        return []
    features = inputs if rule.feature == "any" else [rule.feature]
    return [
        _judge_feature(rule, event, context, name, inputs[name])
        for name in features
        if name in inputs
    ]


def _judge_feature(
    rule: QualityRule, event: WindowClosed, context: Context, name: str, feature: Input
) -> Judgement:
    series, window = series_of(rule.name, event, name), span_of(event)
    rate: float | None = getattr(feature, rule.check)
    n = feature.present if rule.check in _OF_PRESENT else feature.n
    if rate is None or n < rule.min_samples:
        return no_evidence(series, event.now, window)
    limit = Limit("above", rule.above)

    def sentence() -> str:
        # Judged as a share, written in percent.
        written, standing = Limit("above", 100 * rule.above).sentence(100 * rate, " %")
        rows = counted(n, "value" if rule.check in _OF_PRESENT else "prediction")
        return (
            f"{place(context.name, series)}: the share of {name} that is {_FAULTS[rule.check]}, "
            f"{written} of {rows}, {standing} in {span(window)}"
        )

    return Judgement(
        series=series,
        at=event.now,
        breached=limit.breached(rate),
        cleared=limit.cleared(rate),
        metric=rule.check,
        value=rate,
        threshold=rule.above,
        n=n,
        summary=sentence,
        window=window,
    )
