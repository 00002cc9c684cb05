"""Reading the configuration: one pipeline file, its model files, the environment."""

import copy
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from streams.config.base import Frozen
from streams.config.cross import settings_problems
from streams.config.document import Document, parse
from streams.config.environment import override
from streams.config.errors import ConfigError, Problem
from streams.config.explain import explain
from streams.config.fields import keys_of, type_at
from streams.config.model import ModelConfig
from streams.config.pipeline import PipelineConfig
from streams.config.settings import Settings
from streams.config.suggest import nearest

if TYPE_CHECKING:
    from streams.profile.model import ReferenceProfile

Kind = TypeVar("Kind", bound=Frozen)


def load(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read everything that a worker needs.

    Args:
        path: the pipeline's file; it names the model files.
        environment: variables that may override it; the process's own when absent.

    Returns:
        The pipeline, its models with their reference profiles, and the resolved tick.

    Raises:
        ConfigError: anything is wrong; it holds every problem of every file.
    """
    problems: list[Problem] = []
    document = _read(path)
    problems += document.problems
    if not isinstance(document.data, dict):
        raise ConfigError(problems)
    problems += override(document, os.environ if environment is None else environment)
    pipeline = _validated(PipelineConfig, document, path.parent, problems)
    models: dict[str, tuple[ModelConfig, Document]] = {}
    names: dict[str, str] = {}
    for file in _model_files(document, path.parent, problems):
        source = _read(file)
        problems += source.problems
        if not isinstance(source.data, dict):
            continue
        model = _validated(ModelConfig, source, file.parent, problems)
        name = str(source.data.get("model"))
        first = names.setdefault(name, source.name)
        if first != source.name:
            problems.append(
                source.problem(("model",), f"model '{name}' is already in {first}; rename one")
            )
        elif model is not None:
            models[model.model] = (model, source)
    references = _references(models, problems)
    if pipeline is not None:
        settings = Settings.build(pipeline, [model for model, _ in models.values()], references)
        sources = {name: source for name, (_, source) in models.items()}
        problems += settings_problems(settings, document, sources)
        if not problems:
            return settings
    raise ConfigError(_ordered(problems))


def load_pipeline(path: Path, environment: Mapping[str, str] | None = None) -> PipelineConfig:
    """Read the pipeline's file alone, for commands that need no models.

    Raises:
        ConfigError: anything is wrong with that file.
    """
    document = _read(path)
    problems = document.problems
    if isinstance(document.data, dict):
        problems += override(document, os.environ if environment is None else environment)
        pipeline = _validated(PipelineConfig, document, path.parent, problems)
        if pipeline is not None and not problems:
            return pipeline
    raise ConfigError(_ordered(problems))


def _ordered(problems: list[Problem]) -> list[Problem]:
    """Order problems by file, as first met, and line; each once."""
    files = list(dict.fromkeys(problem.file for problem in problems))
    return sorted(
        dict.fromkeys(problems),
        key=lambda problem: (files.index(problem.file), problem.line or 0),
    )


def _read(path: Path) -> Document:
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text"
    else:
        return parse(text, name)
    return Document(name, problems=[Problem(name, None, "", f"the file {reason}")])


def _validated(
    kind: type[Kind], document: Document, base: Path, problems: list[Problem]
) -> Kind | None:
    try:
        return kind.model_validate(document.data, context={"base": base})
    except ValidationError as error:
        problems += explain(error, kind, document)
        problems += _hidden(kind, error, document, base)
        return None


def _hidden(
    kind: type[Kind], error: ValidationError, document: Document, base: Path
) -> list[Problem]:
    """Look behind errors: rules of the whole are checked only when all its parts are good.

    Unknown keys are corrected, and rules inside the parts are left out, as far as that helps.
    """
    details = error.errors(include_url=False, include_input=False)
    corrected = Document(
        document.name, copy.deepcopy(document.data), dict(document.lines), dict(document.origins)
    )
    for detail in details:
        if detail["type"] == "extra_forbidden":
            _correct(kind, corrected, detail["loc"])
    try:
        kind.model_validate(corrected.data, context={"base": base, "rules_of": kind})
    except ValidationError as again:
        return explain(again, kind, corrected)
    return []


def _correct(kind: type[Frozen], document: Document, loc: tuple[str | int, ...]) -> None:
    """Rename an unknown key to the one that was probably meant, or drop it."""
    owner: Any = document.data
    path: list[str | int] = []
    for part in loc[:-1]:
        inside = part in owner if isinstance(owner, dict) else isinstance(part, int)
        if inside:
            owner = owner[part]
            path.append(part)
    value = owner.pop(loc[-1])
    near = nearest(str(loc[-1]), keys_of(type_at(kind, loc[:-1])))
    if near is not None and near not in owner:
        owner[near] = value
        document.lines[*path, near] = document.lines.get((*path, loc[-1]), 1)


def _model_files(document: Document, base: Path, problems: list[Problem]) -> Iterator[Path]:
    patterns = document.data.get("models")
    seen = set()
    for index, pattern in enumerate(patterns if isinstance(patterns, list) else []):
        if not isinstance(pattern, str) or not pattern:
            continue
        files = _glob(base, pattern)
        if not files:
            where = base / pattern
            problems.append(document.problem(("models", index), f"there is no file {where}"))
        for file in files:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _glob(base: Path, pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_absolute():
        base, pattern = Path(path.anchor), str(path.relative_to(path.anchor))
    return sorted(file for file in base.glob(pattern) if file.is_file())


def _references(
    models: Mapping[str, tuple[ModelConfig, Document]], problems: list[Problem]
) -> dict[str, "ReferenceProfile"]:
    from streams.profile.model import ProfileError, ReferenceProfile  # noqa: PLC0415 needed seldom

    profiles = {}
    for name, (model, source) in models.items():
        if model.reference is None:
            continue
        try:
            profiles[name] = ReferenceProfile.read(model.reference)
        except ProfileError as error:
            problems.append(source.problem(("reference",), str(error)))
    return profiles
