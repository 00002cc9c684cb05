"""What decoding needs to know about a model, and nothing else of its configuration."""

from dataclasses import dataclass
from typing import Literal

from streams.config.model import ModelConfig

Task = Literal["binary", "multiclass", "regression", "ranking", "outcome"]

#: Where the event's own field of that name ends up among the tags.
VARIANT = "variant"


@dataclass(slots=True, frozen=True)
class ModelShape:
    """The columns of one model's predictions.

    Attributes:
        model: name of the model.
        task: what it predicts.
        classes: canonical labels; empty for tasks without classes.
        positive: index of the positive class; 0 for other tasks than binary.
        threshold: scores from here on predict the positive class; None leaves it to the event.
        numeric: names of the numeric features, in configuration order.
        categorical: names of the categorical features, in configuration order.
        tags: names of the tags that are kept, without ``variant``, which always is.
        lateness: ms that a prediction may be older than the stream.
    """

    model: str
    task: Task
    classes: tuple[str, ...]
    positive: int
    threshold: float | None
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    tags: tuple[str, ...]
    lateness: int


def shape_of(config: ModelConfig) -> ModelShape:
    """Derive the columns of a model from its configuration."""
    kinds = {name: feature.kind for name, feature in config.features.items()}
    wanted = [name for segment in config.segments for name in segment.by]
    if config.distinct is not None:
        wanted.append(config.distinct)
    positive = config.positive_class
    return ModelShape(
        model=config.model,
        task=config.task,
        classes=tuple(config.classes),
        positive=config.classes.index(positive) if positive in config.classes else 0,
        threshold=config.threshold,
        numeric=tuple(name for name, kind in kinds.items() if kind == "numeric"),
        categorical=tuple(name for name, kind in kinds.items() if kind == "categorical"),
        tags=tuple(dict.fromkeys(name for name in wanted if name not in kinds and name != VARIANT)),
        lateness=config.allowed_lateness,
    )


def shape_of_unknown(model: str, lateness: int) -> ModelShape:
    """Describe a model that no configuration does: only its traffic can be counted."""
    return ModelShape(model, "outcome", (), 0, None, (), (), (), lateness)
