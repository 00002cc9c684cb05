"""The configuration of a model whose reference profile does not exist yet."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from streams.cli.output import USAGE, CommandError
from streams.config.document import Document, parse
from streams.config.errors import ConfigError, Problem
from streams.config.explain import explain
from streams.config.load import load_pipeline
from streams.config.model import ModelConfig
from streams.config.pipeline import PipelineConfig
from streams.config.settings import LoadedModel, Settings

_NOT_YET = ("reference", "alerts")
"""Keys of a model that may ask for the profile that is about to be built."""


@dataclass(slots=True, frozen=True)
class Task:
    """What a profile is built for.

    Attributes:
        settings: the pipeline and the one model, without reference and alert rules.
        model: that model.
        out: where its file says that the profile is, or None.
    """

    settings: Settings
    model: LoadedModel
    out: Path | None


def find(config: Path, name: str | None) -> Task:
    """Find a model; without a name the only one there is.

    Raises:
        ConfigError: the pipeline's or the model's file is wrong.
        CommandError: there is no such model, or several and no name.
    """
    pipeline = load_pipeline(config)
    documents = {
        str(document.data.get("model")): (document, file)
        for file in _files(config.parent, pipeline)
        if isinstance((document := _read(file)).data, dict)
    }
    known = ", ".join(sorted(documents)) or "none"
    if name is None and len(documents) != 1:
        raise CommandError(f"say which model: --model NAME; known are {known}", USAGE)
    chosen = documents.get(next(iter(documents)) if name is None else name)
    if chosen is None:
        raise CommandError(f"there is no model {name!r}; known are {known}", USAGE)
    document, file = chosen
    model = _validated(document, file)
    settings = Settings.build(pipeline, [model])
    out = document.data.get("reference")
    return Task(
        settings,
        settings.models[model.model],
        file.parent / out if isinstance(out, str) else None,
    )


def _files(base: Path, pipeline: PipelineConfig) -> list[Path]:
    found = []
    for pattern in pipeline.models:
        root = Path(pattern.anchor) if pattern.is_absolute() else base
        relative = pattern.relative_to(pattern.anchor) if pattern.is_absolute() else pattern
        found += sorted(file for file in root.glob(str(relative)) if file.is_file())
    return found


def _read(file: Path) -> Document:
    try:
        return parse(file.read_text(encoding="utf-8-sig"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: cannot be read: {error}", USAGE) from error


def _validated(document: Document, file: Path) -> ModelConfig:
    problems: list[Problem] = list(document.problems)
    data = {key: value for key, value in document.data.items() if key not in _NOT_YET}
    try:
        model = ModelConfig.model_validate(data, context={"base": file.parent})
    except ValidationError as error:
        raise ConfigError([*problems, *explain(error, ModelConfig, document)]) from None
    if problems:
        raise ConfigError(problems)
    return model
