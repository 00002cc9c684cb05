"""Rules for a model's sequential detectors."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from detectors.registry import KINDS, build
from streams.config.base import Finding
from streams.config.repeats import repeated
from streams.config.suggest import suggest

if TYPE_CHECKING:
    from streams.config.model import DetectorConfig, ModelConfig

CLASSIFICATION = frozenset({"binary", "multiclass"})
FEATURE = "feature:"
WATCHABLE = {
    "error": CLASSIFICATION | {"regression", "ranking"},
    "score": CLASSIFICATION,
    "prediction": CLASSIFICATION | {"regression"},
}
"""Series that a detector may watch, and the tasks that have them."""
UNIT = (0.25, 0.75)
ANY_NUMBER = (-2.5, 2.5)


def detector_findings(model: "ModelConfig") -> Iterator[Finding]:
    """Check what a model's detectors are and watch."""
    names = [detector.name for detector in model.detectors]
    yield from repeated(names, lambda index: ("detectors", index), "detector")
    for index, detector in enumerate(model.detectors):
        for path, message, hint in _detector(model, detector):
            yield Finding(("detectors", index, *path), message, hint)


def _detector(model: "ModelConfig", detector: "DetectorConfig") -> Iterator[Finding]:
    wrong = list(_watched(model, detector.on))
    yield from wrong
    if detector.kind not in KINDS:
        yield Finding(
            ("kind",), f"unknown detector '{detector.kind}'", suggest(detector.kind, KINDS)
        )
        return
    try:
        build(detector.kind, **detector.params)
    except (ValueError, TypeError) as error:
        yield Finding(("params",), str(error))
    if not wrong:
        yield from _fit(model, detector)


def _watched(model: "ModelConfig", on: str) -> Iterator[Finding]:
    if on.startswith(FEATURE):
        yield from _numeric_feature(model, on.removeprefix(FEATURE))
    elif on not in WATCHABLE:
        known = (*WATCHABLE, *(FEATURE + name for name in model.features))
        yield Finding(("on",), f"a detector cannot watch '{on}'", suggest(on, known))
    elif model.task not in WATCHABLE[on]:
        yield Finding(
            ("on",), f"a model of task {model.task} has no {on} to watch; use feature:<name>"
        )


def _fit(model: "ModelConfig", detector: "DetectorConfig") -> Iterator[Finding]:
    """Find out whether a detector takes numbers like those that it shall watch."""
    try:
        build(detector.kind).update_many(_typical(model, detector.on))
    except ValueError as error:
        needed = str(error).rpartition("expected ")[2]
        yield Finding(
            ("kind",),
            f"{detector.kind} watches {needed}; for the {detector.on} of a {model.task} model "
            "use adwin or page_hinkley",
        )


def _typical(model: "ModelConfig", on: str) -> tuple[float, ...]:
    if on.startswith(FEATURE) or model.task == "regression":
        return ANY_NUMBER
    if on == "score" or model.task == "ranking":
        return UNIT
    if on == "prediction":
        return tuple(float(index) for index in range(len(model.classes)))
    return (0.0, 1.0)


def _numeric_feature(model: "ModelConfig", name: str) -> Iterator[Finding]:
    feature = model.features.get(name)
    if feature is None:
        yield Finding(("on",), f"there is no feature '{name}'", suggest(name, model.features))
    elif feature.kind != "numeric":
        yield Finding(("on",), f"feature '{name}' is categorical; a detector watches numbers")
