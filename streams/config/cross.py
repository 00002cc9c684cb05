"""Rules between files: the pipeline, its models and their reference profiles."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from streams.config.document import Document
from streams.config.durations import format_duration
from streams.config.errors import Problem
from streams.config.settings import LoadedModel, Settings
from streams.config.suggest import suggest
from streams.config.windows import pane_ms

if TYPE_CHECKING:
    from streams.profile.model import ReferenceProfile


def settings_problems(
    settings: Settings, pipeline: Document, models: Mapping[str, Document]
) -> Iterator[Problem]:
    """Check everything that no single file can tell.

    Args:
        settings: all files together.
        pipeline: the pipeline's file.
        models: the models' files, by name of model.
    """
    yield from _tick(settings, pipeline)
    limit = settings.pipeline.limits.max_features
    for name, model in settings.models.items():
        document = models[name]
        if len(model.config.features) > limit:
            yield document.problem(
                ("features",),
                f"{len(model.config.features)} features are more than limits.max_features {limit}",
            )
        yield from _watched_windows(model, document)
        if model.reference is not None:
            yield from _reference(model, model.reference, document)


def _tick(settings: Settings, document: Document) -> Iterator[Problem]:
    tick = settings.pipeline.processing.tick
    if tick == "auto":
        return
    pane = pane_ms(settings.windows)
    if pane % tick:
        yield document.problem(
            ("processing", "tick"),
            f"a tick of {format_duration(tick)} does not divide all sizes and hops of windows, "
            f"which are multiples of {format_duration(pane)}; write auto",
        )


def _watched_windows(model: LoadedModel, document: Document) -> Iterator[Problem]:
    sizes = {window.size: format_duration(window.size) for window in model.windows}
    watched = [
        (("alerts", index, "window"), rule.window)
        for index, rule in enumerate(model.config.alerts)
        if rule.rule == "threshold"
    ]
    for path, size in [*watched, (("drift", "window"), model.config.drift.window)]:
        if size is not None and size not in sizes:
            yield document.problem(
                path,
                f"the model has no window of {format_duration(size)}",
                f"its windows: {', '.join(sizes.values())}",
            )


def _reference(
    model: LoadedModel, reference: "ReferenceProfile", document: Document
) -> Iterator[Problem]:
    config = model.config
    if reference.model != config.model:
        yield document.problem(
            ("reference",),
            f"the profile is of model '{reference.model}', not '{config.model}'; build one with "
            "'driftline profile'",
        )
    for name, feature in config.features.items():
        column = reference.features.get(name)
        kind = None if column is None else type(column).__struct_config__.tag
        if kind is not None and kind != feature.kind:
            yield document.problem(
                ("features", name, "kind"),
                f"'{name}' is {feature.kind} here and {kind} in the reference profile",
            )
    for index, rule in enumerate(config.alerts):
        relative = rule.rule == "threshold" and rule.relative_to_reference is not None
        if rule.rule == "threshold" and relative and rule.metric not in reference.metrics:
            yield document.problem(
                ("alerts", index, "relative_to_reference"),
                f"the reference profile has no '{rule.metric}'; give above or below instead",
                suggest(rule.metric, reference.metrics),
            )
