"""The published descriptions are what the code says, and what the intake accepts."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from events.examples import NOW, build_chunk, build_settings

from benchmarks.fuzz import valid_feedback, valid_prediction
from streams.events import asyncapi
from streams.events.columns import NO_CLOCK
from streams.events.intake import FeedbackIntake, PredictionIntake
from streams.events.jsonschema import DOCUMENTS, document, main, render
from streams.events.quarantine import to_outputs
from streams.events.reasons import Reason

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_each_committed_schema_is_what_the_generator_writes(name: Any) -> None:
    committed = ROOT / "docs" / "schemas" / f"{name}.schema.json"
    assert committed.read_text() == render(name), (
        "run python -m streams.events.jsonschema docs/schemas"
    )


def test_no_other_schema_is_committed(tmp_path: Any) -> None:
    main(tmp_path)
    committed = {path.name for path in (ROOT / "docs" / "schemas").iterdir()}
    assert committed == {path.name for path in tmp_path.iterdir()}


def test_the_committed_asyncapi_is_what_the_generator_writes() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "streams.events.asyncapi"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert (ROOT / "docs" / "asyncapi.yaml").read_text() == made


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_each_schema_is_a_schema_and_describes_each_of_its_fields(name: Any) -> None:
    schema = document(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["description"]
    if name not in {"prediction-batch", "feedback-batch"}:
        own = {key for key in schema["properties"] if key != "type"}
        assert own == {key for key in own if schema["properties"][key].get("description")}


def references(node: Any) -> Any:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    whole = asyncapi.document()
    found = set(references(whole))
    assert found
    for reference in found:
        node = whole
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_every_topic_has_an_operation_and_every_message_a_topic() -> None:
    whole = asyncapi.document()
    used = {one["channel"]["$ref"].rpartition("/")[2] for one in whole["operations"].values()}
    assert used == set(whole["channels"])
    carried = {name for one in whole["channels"].values() for name in one["messages"]}
    assert carried == set(whole["components"]["messages"])


def test_the_addresses_are_the_default_topic_names() -> None:
    topics = build_settings().pipeline.topics
    addresses = [channel["address"] for channel in asyncapi.document()["channels"].values()]
    logical = [
        "predictions", "feedback", "metrics", "alerts", "unmatched", "quarantine_predictions",
        "quarantine_feedback",
    ]  # fmt: skip
    assert addresses == [topics.name(name) for name in logical]


def test_the_headers_of_quarantined_records_are_all_described() -> None:
    chunk = build_chunk([b"{"])
    decoded = PredictionIntake(build_settings()).decode(chunk, NO_CLOCK, NOW)
    (output,) = to_outputs(chunk, decoded.rejected, "topic")
    headers = asyncapi.document()["components"]["messages"]["quarantined"]["headers"]
    assert {name for name, _ in output.headers} == set(headers["properties"])
    assert headers["properties"]["driftline.reason"]["enum"] == [reason.value for reason in Reason]


@pytest.mark.parametrize(
    ("make", "single", "batch", "intake", "source"),
    [
        (valid_prediction, "prediction", "prediction-batch", PredictionIntake, "predictions"),
        (valid_feedback, "feedback", "feedback-batch", FeedbackIntake, "feedback"),
    ],
)
def test_what_the_intake_accepts_the_schema_allows(
    make: Any, single: Any, batch: Any, intake: Any, source: Any
) -> None:
    rng = random.Random(5)
    validators = {name: jsonschema.Draft202012Validator(document(name)) for name in (single, batch)}
    events = [make(rng) for _ in range(300)]
    decoded = intake(build_settings()).decode(build_chunk(events, source), NO_CLOCK, NOW)
    assert not decoded.rejected
    for event in events:
        plain = json.loads(json.dumps(event))
        validators[batch if "columns" in event else single].validate(plain)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("prediction", {"timestamp": NOW, "model": "m"}),
        ("prediction", {"prediction_id": "", "timestamp": NOW, "model": "m"}),
        ("prediction", {"prediction_id": "p", "timestamp": [], "model": "m"}),
        ("prediction", {"prediction_id": "p", "timestamp": NOW, "model": "m", "features": []}),
        ("feedback", {"prediction_id": "p", "timestamp": NOW}),
        ("feedback-batch", {"columns": {"timestamp": NOW}}),
    ],
)
def test_what_the_intake_rejects_for_its_form_the_schema_forbids(name: Any, event: Any) -> None:
    assert list(jsonschema.Draft202012Validator(document(name)).iter_errors(event))
