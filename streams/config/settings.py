"""Everything that a worker runs, resolved: what ``load`` returns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from streams.config.durations import format_duration
from streams.config.model import ModelConfig
from streams.config.pipeline import PipelineConfig
from streams.config.windows import WindowConfig, auto_tick_ms, pane_ms

if TYPE_CHECKING:
    from streams.profile.model import ReferenceProfile


@dataclass(slots=True, frozen=True)
class LoadedModel:
    """A model with all that belongs to it.

    Attributes:
        config: the model's own file, with the pipeline's windows where it sets none.
        windows: its windows.
        reference: its reference profile, or None.
    """

    config: ModelConfig
    windows: tuple[WindowConfig, ...]
    reference: "ReferenceProfile | None" = None

    @property
    def pane_ms(self) -> int:
        """Length of the panes that all the model's windows are made of."""
        return pane_ms(self.windows)


@dataclass(slots=True, frozen=True)
class Settings:
    """The pipeline and its models.

    Attributes:
        pipeline: the pipeline's file.
        models: models by name.
        tick_ms: length of a tick of event time, with ``auto`` resolved.
    """

    pipeline: PipelineConfig
    models: Mapping[str, LoadedModel]
    tick_ms: int

    @classmethod
    def build(
        cls,
        pipeline: PipelineConfig,
        models: Iterable[ModelConfig] = (),
        references: "Mapping[str, ReferenceProfile] | None" = None,
    ) -> Self:
        """Put a pipeline and its models together without files.

        Args:
            pipeline: the pipeline.
            models: its models; of several with one name the last one counts.
            references: reference profiles by name of model.
        """
        profiles = references or {}
        loaded = {}
        for config in models:
            windows = config.windows or pipeline.windows
            complete = config.model_copy(update={"windows": windows})
            loaded[config.model] = LoadedModel(complete, windows, profiles.get(config.model))
        settings = cls(pipeline, loaded, 0)
        tick = pipeline.processing.tick
        tick_ms = auto_tick_ms(settings.windows) if tick == "auto" else tick
        return replace(settings, tick_ms=tick_ms)

    @property
    def windows(self) -> set[WindowConfig]:
        """Windows of all models; the pipeline's own only if models may come to use them."""
        used = {window for model in self.models.values() for window in model.windows}
        if not used or self.pipeline.processing.unknown_models == "accept":
            used.update(self.pipeline.windows)
        return used

    def dump_public(self) -> dict[str, Any]:
        """Everything as plain JSON values, durations as text, secrets masked."""
        return {
            "pipeline": self.pipeline.model_dump(mode="json"),
            "tick": format_duration(self.tick_ms),
            "models": {
                name: model.config.model_dump(mode="json") for name, model in self.models.items()
            },
        }
