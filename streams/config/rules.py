"""Rules between the keys of one model's file."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from detectors.distances.registry import NAMES
from detectors.registry import KINDS, build
from streams.config.base import Finding, Path
from streams.config.metrics import (
    DISTINCT,
    OPERATION,
    OUTCOMES,
    QUALITY,
    RANKING_AT_K,
    quality_metrics,
)
from streams.config.suggest import suggest
from streams.config.windows import window_findings

if TYPE_CHECKING:
    from streams.config.alerts import (
        AlertRuleConfig,
        DetectorRule,
        DriftRule,
        QualityRule,
        ThresholdRule,
    )
    from streams.config.model import DetectorConfig, ModelConfig

CLASSIFICATION = frozenset({"binary", "multiclass"})
WITH_ERROR = CLASSIFICATION | {"regression"}
FEATURE = "feature:"


def model_findings(model: "ModelConfig") -> list[Finding]:
    """Check all rules between the keys of a model's file."""
    checks: tuple[Callable[[ModelConfig], Iterator[Finding]], ...] = (
        _classes,
        _features,
        _segments,
        _windows,
        _outcomes,
        _detectors,
        _drift,
        _alerts,
    )
    return [finding for check in checks for finding in check(model)]


def _classes(model: "ModelConfig") -> Iterator[Finding]:
    count = len(model.classes)
    if model.task == "binary" and count != 2:
        yield Finding(
            ("classes",), f"a binary model has exactly two classes, not {count}; list both"
        )
    if model.task == "multiclass" and count < 2:
        yield Finding(("classes",), "a multiclass model lists all its classes, at least two")
    if model.task not in CLASSIFICATION and count:
        yield Finding(("classes",), f"a model of task {model.task} has no classes; remove them")
    yield from _repeated(model.classes, lambda index: ("classes", index), "class")
    if model.task != "binary":
        for key in ("positive_class", "threshold"):
            if getattr(model, key) is not None:
                yield Finding((key,), f"only binary models have a {key}; remove it")
    elif model.positive_class is None:
        if count == 2:
            yield Finding(("positive_class",), "a binary model has one; name it or drop the key")
    elif count == 2 and model.positive_class not in model.classes:
        yield Finding(
            ("positive_class",),
            f"'{model.positive_class}' is not one of the classes",
            suggest(model.positive_class, model.classes),
        )


def _features(model: "ModelConfig") -> Iterator[Finding]:
    if "any" in model.features:
        yield Finding(
            ("features", "any"), "'any' means every feature in rules; give this one another name"
        )


def _segments(model: "ModelConfig") -> Iterator[Finding]:
    names = [segment.name for segment in model.segments]
    yield from _repeated(names, lambda index: ("segments", index), "segment")
    for index, segment in enumerate(model.segments):
        for place, name in enumerate(segment.by):
            feature = model.features.get(name)
            if feature is not None and feature.kind == "numeric":
                yield Finding(
                    ("segments", index, "by", place),
                    f"'{name}' is a numeric feature; segment by a tag or a categorical feature",
                )


def _windows(model: "ModelConfig") -> Iterator[Finding]:
    if model.windows is not None:
        for path, message, hint in window_findings(model.windows):
            yield Finding(("windows", *path), message, hint)


def _outcomes(model: "ModelConfig") -> Iterator[Finding]:
    yield from _repeated(map(str, model.top_k), lambda index: ("top_k", index), "cut-off")
    if model.task == "outcome" and not model.outcomes:
        yield Finding(("outcomes",), "a model of task outcome lists the events that may follow")


def _detectors(model: "ModelConfig") -> Iterator[Finding]:
    names = [detector.name for detector in model.detectors]
    yield from _repeated(names, lambda index: ("detectors", index), "detector")
    for index, detector in enumerate(model.detectors):
        for path, message, hint in _detector(model, detector):
            yield Finding(("detectors", index, *path), message, hint)


def _detector(model: "ModelConfig", detector: "DetectorConfig") -> Iterator[Finding]:
    if detector.kind not in KINDS:
        yield Finding(
            ("kind",), f"unknown detector '{detector.kind}'", suggest(detector.kind, KINDS)
        )
    else:
        try:
            build(detector.kind, **detector.params)
        except (ValueError, TypeError) as error:
            yield Finding(("params",), str(error))
    on = detector.on
    if on.startswith(FEATURE):
        yield from _numeric_feature(model, on.removeprefix(FEATURE))
    elif on not in {"error", "score", "prediction"}:
        known = ("error", "score", "prediction", *(FEATURE + name for name in model.features))
        yield Finding(("on",), f"a detector cannot watch '{on}'", suggest(on, known))
    elif model.task not in (CLASSIFICATION if on == "score" else WITH_ERROR):
        yield Finding(
            ("on",), f"a model of task {model.task} has no {on} to watch; use feature:<name>"
        )


def _numeric_feature(model: "ModelConfig", name: str) -> Iterator[Finding]:
    feature = model.features.get(name)
    if feature is None:
        yield Finding(("on",), f"there is no feature '{name}'", suggest(name, model.features))
    elif feature.kind != "numeric":
        yield Finding(("on",), f"feature '{name}' is categorical; a detector watches numbers")


def _drift(model: "ModelConfig") -> Iterator[Finding]:
    distances = model.drift.distances
    yield from _repeated(distances, lambda index: ("drift", "distances", index), "distance")
    for index, name in enumerate(distances):
        if name not in NAMES:
            yield Finding(
                ("drift", "distances", index),
                f"unknown distance '{name}'",
                suggest(name, NAMES),
            )


def _alerts(model: "ModelConfig") -> Iterator[Finding]:
    names = [rule.name for rule in model.alerts]
    yield from _repeated(names, lambda index: ("alerts", index, "name"), "rule")
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


def _repeated(names: Iterable[str], path: Callable[[int], Path], what: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Finding(path(index), f"{what} '{name}' is listed twice; names are unique")
        seen.add(name)
