"""A quarantined record says why, and can be written back as it is."""

import json
from typing import Any

import pytest
from events.examples import NOW, build_chunk, build_settings
from events.test_intake import BATCH, GOOD, GOOD_FEEDBACK

from streams.events.columns import NO_CLOCK
from streams.events.intake import FeedbackIntake, PredictionIntake
from streams.events.quarantine import to_output, to_outputs
from streams.events.reasons import Reason, Rejected

TOPIC = "acme.predictions"


def quarantine(values: Any, **more: Any) -> Any:
    chunk = build_chunk(values, start=40, partition=3, **more)
    decoded = PredictionIntake(build_settings()).decode(chunk, NO_CLOCK, NOW)
    return to_outputs(chunk, decoded.rejected, TOPIC)


def test_the_record_is_unchanged_and_the_headers_say_why_and_whence() -> None:
    raw = b'{"broken": "\xff'
    (output,) = quarantine([GOOD, raw], headers=[(), (("trace", b"1"),)], keys=[b"a", b"k"])
    assert (output.topic, output.key, output.value) == ("quarantine_predictions", b"k", raw)
    headers = dict(output.headers)
    assert output.headers[0] == ("trace", b"1")
    assert headers["driftline.reason"] == b"bad_json"
    assert headers["driftline.source.topic"] == TOPIC.encode()
    assert headers["driftline.source.partition"] == b"3"
    assert headers["driftline.source.offset"] == b"41"
    assert headers["driftline.row"] == b""
    assert headers["driftline.id"] == f"{TOPIC}-3-41-".encode()
    assert headers["driftline.detail"]
    assert headers["driftline.version"]


def test_an_empty_record_stays_empty() -> None:
    (output,) = quarantine([None])
    assert output.value == b""
    assert dict(output.headers)["driftline.reason"] == b"empty"


def test_headers_of_an_earlier_quarantine_are_replaced() -> None:
    old = (("driftline.reason", b"late"), ("other", b"x"))
    (output,) = quarantine([b"{"], headers=[old])
    assert [name for name, _ in output.headers].count("driftline.reason") == 1
    assert dict(output.headers)["driftline.reason"] == b"bad_json"


def test_a_detail_is_short() -> None:
    chunk = build_chunk([b"{"])
    output = to_output(chunk, Rejected(Reason.BAD_JSON, "x" * 500, 0), TOPIC)
    assert len(dict(output.headers)["driftline.detail"]) == 200


@pytest.mark.parametrize("score", [[0.9, 0.2, None], {"true": [0.5, 0.25, None]}])
def test_a_rejected_row_of_a_batch_becomes_a_single_event_that_can_be_mended(score: Any) -> None:
    columns = BATCH["columns"] | {"prediction": [True, "maybe", "false"], "score": score}
    (output,) = quarantine([GOOD, BATCH | {"columns": columns}])
    headers = dict(output.headers)
    assert headers["driftline.row"] == b"1"
    assert headers["driftline.id"] == f"{TOPIC}-3-41-1".encode()
    event = json.loads(output.value)
    assert event["prediction_id"] == "b"
    assert event["features"] == {"amount": 2.5, "channel": 5}
    mended = build_chunk([event | {"prediction": True}])
    decoded = PredictionIntake(build_settings()).decode(mended, NO_CLOCK, NOW)
    assert list(decoded.rows.blocks[0].ids) == ["b"]
    again = PredictionIntake(build_settings()).decode(build_chunk([output.value]), NO_CLOCK, NOW)
    assert again.rejected[0].reason == "unknown_class"


def test_feedback_can_be_quarantined_after_it_was_accepted() -> None:
    columns = {"prediction_id": ["a", "b"], "timestamp": NOW, "actual": [True, "x"]}
    chunk = build_chunk([GOOD_FEEDBACK, {"columns": columns}], "feedback")
    rows = FeedbackIntake(build_settings()).decode(chunk, NO_CLOCK, NOW).rows
    raw = rows.slice(2, 3).raw[0]
    rejected = Rejected(Reason.WRONG_TASK, "actual: expected number", raw.record, raw.row)
    output = to_output(raw.chunk, rejected, "acme.feedback")
    assert output.topic == "quarantine_feedback"
    assert json.loads(output.value) == {"prediction_id": "b", "timestamp": NOW, "actual": "x"}


def test_a_batch_that_cannot_be_parsed_as_a_whole_is_kept_as_it_is() -> None:
    raw = json.dumps(BATCH | {"note": "~"}).encode().replace(b'"~"', b'"\xff"')
    output = to_output(build_chunk([raw]), Rejected(Reason.WRONG_TASK, "", 0, 1), TOPIC)
    assert output.value == raw
