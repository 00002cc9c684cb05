"""Rules for a model's alert rules: everything that they refer to exists."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from detectors.distances.registry import NAMES
from streams.config.base import Finding
from streams.config.metrics import (
    DISTINCT,
    OPERATION,
    OUTCOMES,
    QUALITY,
    RANKING_AT_K,
    quality_metrics,
)
from streams.config.repeats import repeated
from streams.config.rules_of_detectors import CLASSIFICATION, FEATURE
from streams.config.suggest import suggest

if TYPE_CHECKING:
    from streams.config.alerts import (
        AlertRuleConfig,
        DetectorRule,
        DriftRule,
        QualityRule,
        ThresholdRule,
    )
    from streams.config.model import ModelConfig


def alert_findings(model: "ModelConfig") -> Iterator[Finding]:
    """Check what a model's alert rules refer to."""
    names = [rule.name for rule in model.alerts]
    yield from repeated(names, lambda index: ("alerts", index, "name"), "rule")
    for index, rule in enumerate(model.alerts):
        for path, message, hint in _rule(model, rule):
            yield Finding(("alerts", index, *path), message, hint)


def _rule(model: "ModelConfig", rule: "AlertRuleConfig") -> Iterator[Finding]:
    if isinstance(rule.segments, tuple):
        known = [segment.name for segment in model.segments]
        for index, name in enumerate(rule.segments):
            if name not in known:
                yield Finding(
                    ("segments", index), f"there is no segment '{name}'", suggest(name, known)
                )
    if rule.rule == "threshold":
        yield from _threshold_rule(model, rule)
    elif rule.rule == "drift":
        yield from _drift_rule(model, rule)
    elif rule.rule == "detector":
        yield from _detector_rule(model, rule)
    elif rule.rule == "quality":
        yield from _quality_rule(model, rule)


def known_metrics(model: "ModelConfig") -> list[str]:
    """List the metrics that a model's threshold rules may watch."""
    roles = {outcome.role for outcome in model.outcomes.values()}
    valued = any(outcome.value for outcome in model.outcomes.values())
    has = {"ctr": "click" in roles, "cvr": "conversion" in roles}
    return [
        *quality_metrics(model.task, model.top_k),
        *(name for name in OUTCOMES if has.get(name, valued)),
        *((DISTINCT,) if model.distinct is not None else ()),
        *OPERATION,
    ]


def _threshold_rule(model: "ModelConfig", rule: "ThresholdRule") -> Iterator[Finding]:
    known = known_metrics(model)
    if rule.metric not in known:
        yield Finding(("metric",), *_unknown_metric(model, rule.metric, known))
    if rule.relative_to_reference is not None:
        yield from _needs_reference(model, "relative_to_reference")


def _unknown_metric(model: "ModelConfig", metric: str, known: list[str]) -> tuple[str, str]:
    tasks = [task for task, names in QUALITY.items() if metric in names]
    if metric.startswith(RANKING_AT_K) and "_at_" in metric:
        if model.task == "ranking":
            return f"'{metric}' needs its cut-off in top_k", suggest(metric, known)
        tasks = ["ranking"]
    if tasks:
        return f"'{metric}' is a metric of {' and '.join(tasks)} models", suggest(metric, known)
    if metric == DISTINCT:
        return f"'{metric}' needs distinct: the tag whose values are counted", ""
    if metric in OUTCOMES:
        need = {"ctr": "role: click", "cvr": "role: conversion"}.get(metric, "value: true")
        return f"'{metric}' needs an outcome with {need}", ""
    return f"unknown metric '{metric}'", suggest(metric, known)


def _drift_rule(model: "ModelConfig", rule: "DriftRule") -> Iterator[Finding]:
    yield from _needs_reference(model, "rule")
    if rule.distance not in model.drift.distances:
        if rule.distance in NAMES:
            yield Finding(
                ("distance",), f"'{rule.distance}' is not computed; add it to drift.distances"
            )
        else:
            yield Finding(
                ("distance",),
                f"unknown distance '{rule.distance}'",
                suggest(rule.distance, NAMES),
            )
    if rule.on.startswith(FEATURE):
        name = rule.on.removeprefix(FEATURE)
        if name not in model.features:
            yield Finding(("on",), f"there is no feature '{name}'", suggest(name, model.features))
    elif rule.on not in {"features", "prediction", "score", "label"}:
        known = ("features", "prediction", "score", "label", *(FEATURE + f for f in model.features))
        yield Finding(("on",), f"a drift rule cannot watch '{rule.on}'", suggest(rule.on, known))
    elif rule.on == "score" and model.task not in CLASSIFICATION:
        yield Finding(("on",), f"a model of task {model.task} has no score to watch")
    if rule.on == "features" and rule.min_features > max(1, len(model.features)):
        yield Finding(("min_features",), f"the model has only {len(model.features)} features")


def _needs_reference(model: "ModelConfig", key: str) -> Iterator[Finding]:
    if model.reference is None:
        yield Finding(
            (key,),
            "needs a reference profile: build one with 'driftline profile' and name it under "
            "reference",
        )


def _detector_rule(model: "ModelConfig", rule: "DetectorRule") -> Iterator[Finding]:
    known = {detector.name for detector in model.detectors}
    if rule.detector not in known | {detector.kind for detector in model.detectors}:
        yield Finding(
            ("detector",),
            f"the model has no detector '{rule.detector}'",
            suggest(rule.detector, sorted(known)) or "list it under detectors",
        )


def _quality_rule(model: "ModelConfig", rule: "QualityRule") -> Iterator[Finding]:
    if rule.feature != "any":
        feature = model.features.get(rule.feature)
        if feature is None:
            near = suggest(rule.feature, (*model.features, "any"))
            yield Finding(("feature",), f"there is no feature '{rule.feature}'", near)
            return
        watched = [feature]
    else:
        watched = list(model.features.values())
    if rule.check == "range_violation_rate" and all(f.range is None for f in watched):
        yield Finding(("check",), "no watched feature has a range; give one under features")
    if rule.check == "category_violation_rate" and all(f.categories is None for f in watched):
        yield Finding(("check",), "no watched feature has categories; give them under features")
    if not watched:
        yield Finding(("feature",), "the model declares no features; list them under features")
