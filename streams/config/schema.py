"""JSON Schemas of the configuration files, for editors and for checks without Driftline."""

import json
from typing import Any

from streams.config.base import Frozen
from streams.config.durations import SCHEMA_PATTERN, format_duration
from streams.config.model import ModelConfig
from streams.config.pipeline import PipelineConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def pipeline_schema() -> dict[str, Any]:
    """Give the schema of the pipeline's file."""
    return _schema(PipelineConfig, "Driftline pipeline")


def model_schema() -> dict[str, Any]:
    """Give the schema of a model's file."""
    return _schema(ModelConfig, "Driftline model")


def schema_text(schema: dict[str, Any]) -> str:
    """Write a schema as the files under ``config/schema`` hold it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(kind: type[Frozen], title: str) -> dict[str, Any]:
    generated = _tidy(kind.model_json_schema(mode="validation"))
    return {"$schema": DIALECT, "title": title, **generated}


def _tidy(node: Any) -> Any:
    """Drop generated titles, which repeat the keys, and write default durations as files do."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidied = {
        key: _tidy(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
    }
    if isinstance(node.get("default"), int) and _is_duration(node):
        tidied["default"] = format_duration(node["default"])
    return tidied


def _is_duration(node: dict[str, Any]) -> bool:
    return node.get("pattern") == SCHEMA_PATTERN or any(map(_is_duration, node.get("anyOf", ())))
