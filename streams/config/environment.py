"""Environment variables that override the pipeline's file: ``DRIFTLINE__HTTP__PORT=9500``.

A value is text, as a shell gives it, or a list or mapping in YAML's flow style. A secret may be
given as it is: the environment is where secrets belong.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from streams.config.base import Path
from streams.config.document import Document, parse
from streams.config.errors import Problem
from streams.config.fields import type_at
from streams.config.pipeline import PipelineConfig

PREFIX = "DRIFTLINE__"


def override(document: Document, environment: Mapping[str, str]) -> list[Problem]:
    """Lay the environment over the pipeline's file.

    Args:
        document: the pipeline's file; its data and origins are changed.
        environment: variables by name; only those that begin with ``DRIFTLINE__`` count.

    Returns:
        Variables that cannot be used.
    """
    problems = []
    for name in sorted(environment):
        if not name.startswith(PREFIX):
            continue
        path: Path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        value = _value(environment[name], path)
        if isinstance(value, Document):
            problems.append(Problem(name, None, "", value.problems[0].message))
        elif not _put(document.data, path, value):
            problems.append(Problem(name, None, "", "lies inside a value that is no mapping"))
        else:
            document.origins[path] = name
    return problems


def _value(text: str, path: Path) -> Any:
    if text.startswith(("{", "[")):
        nested = parse(f"value: {text}", "")
        return nested if nested.problems else nested.data["value"]
    if type_at(PipelineConfig, path) is SecretStr:
        return SecretStr(text)
    return None if text == "null" else text


def _put(data: dict[str, Any], path: Path, value: Any) -> bool:
    *parents, last = map(str, path)
    for part in parents:
        inner = data.get(part)
        if inner is None:
            inner = data[part] = {}
        if not isinstance(inner, dict):
            return False
        data = inner
    data[last] = value
    return True
