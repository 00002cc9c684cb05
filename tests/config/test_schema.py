import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from streams.config.schema import model_schema, pipeline_schema, schema_text

CONFIG = Path(__file__).parents[2] / "config"
SHIPPED = [
    ("driftline.yaml", "schema/pipeline.schema.json"),
    *((f"models/{path.name}", "../schema/model.schema.json") for path in CONFIG.glob("models/*")),
]


def schema_errors(schema: dict[str, Any], text: str) -> list[str]:
    data = YAML(typ="safe", pure=True).load(text)
    return [error.message for error in Draft202012Validator(schema).iter_errors(data)]


@pytest.mark.parametrize(
    ("file", "schema"),
    [("pipeline.schema.json", pipeline_schema), ("model.schema.json", model_schema)],
)
def test_the_committed_schema_is_the_generated_one(file: str, schema: Any) -> None:
    committed = (CONFIG / "schema" / file).read_text()
    assert committed == schema_text(schema()), "run: driftline config schema [--model]"
    Draft202012Validator.check_schema(json.loads(committed))


@pytest.mark.parametrize(("file", "schema"), SHIPPED)
def test_a_shipped_file_names_its_schema_and_obeys_it(file: str, schema: str) -> None:
    path = CONFIG / file
    text = path.read_text()
    assert text.startswith(f"# yaml-language-server: $schema={schema}\n")
    assert schema_errors(json.loads((path.parent / schema).read_text()), text) == []


@pytest.mark.parametrize(
    "text",
    [
        "{model: m, task: regresion}",
        "{model: m, task: regression, label_horizon: 30}",
        "{model: m, task: regression, label_horizon: 30 s}",
        "{model: m, task: regression, modle: m}",
        "{model: m, task: regression, detectors: [{kind: adwn}]}",
        "{model: m, task: regression, alerts: [{rule: volume, name: r, metric: mae}]}",
    ],
)
def test_the_schema_refuses_what_loading_refuses(text: str) -> None:
    assert schema_errors(model_schema(), text)


def test_the_schema_takes_both_forms_of_segments_secrets_and_classes() -> None:
    model = "{model: m, task: binary, classes: [0, true], segments: [a, {name: b, by: [c]}]}"
    assert schema_errors(model_schema(), model) == []
    sasl = "{mechanism: PLAIN, username: u, password: {env: A}, token: {file: b}}"
    pipeline = "{kafka: {bootstrap_servers: 'a:1', sasl: %s}}"
    assert schema_errors(pipeline_schema(), pipeline % sasl) == []
    assert schema_errors(pipeline_schema(), pipeline % "{mechanism: PLAIN, password: literal}")


def test_default_durations_are_written_as_files_write_them() -> None:
    assert model_schema()["properties"]["label_horizon"]["default"] == "1d"
