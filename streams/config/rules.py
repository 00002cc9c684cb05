"""Rules between the keys of one model's file."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from detectors.distances.registry import NAMES
from streams.config.base import Finding
from streams.config.repeats import repeated
from streams.config.rules_of_alerts import alert_findings
from streams.config.rules_of_detectors import CLASSIFICATION, detector_findings
from streams.config.suggest import suggest
from streams.config.windows import window_findings

if TYPE_CHECKING:
    from streams.config.model import ModelConfig


def model_findings(model: "ModelConfig") -> list[Finding]:
    """Check all rules between the keys of a model's file."""
    checks: tuple[Callable[[ModelConfig], Iterator[Finding]], ...] = (
        _classes,
        _features,
        _segments,
        _windows,
        _outcomes,
        detector_findings,
        _drift,
        alert_findings,
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
    yield from repeated(model.classes, lambda index: ("classes", index), "class")
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
    yield from repeated(names, lambda index: ("segments", index), "segment")
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
    yield from repeated(map(str, model.top_k), lambda index: ("top_k", index), "cut-off")
    if model.task == "outcome" and not model.outcomes:
        yield Finding(("outcomes",), "a model of task outcome lists the events that may follow")


def _drift(model: "ModelConfig") -> Iterator[Finding]:
    distances = model.drift.distances
    yield from repeated(distances, lambda index: ("drift", "distances", index), "distance")
    for index, name in enumerate(distances):
        if name not in NAMES:
            yield Finding(
                ("drift", "distances", index),
                f"unknown distance '{name}'",
                suggest(name, NAMES),
            )
