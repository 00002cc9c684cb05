import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.payloads import (
    Alert,
    Contributor,
    Evidence,
    MetricValue,
    Unmatched,
    Window,
    decode,
    encode,
    join_id,
    rfc3339,
    seconds,
)

WINDOW = Window(
    id="m|*|*|label_time|1m|0|0",
    model="m",
    model_version="*",
    segment="*",
    view="label_time",
    start=rfc3339(0),
    end=rfc3339(60_000),
    size_s=seconds(60_000),
    hop_s=seconds(60_000),
    revision=0,
    final=True,
    published_at_event_time=rfc3339(60_000),
    labels=3,
    metrics={"accuracy": MetricValue(value=1.0, n=3.0)},
    operation={},
)


@given(ms=st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_times_are_rfc_3339_with_milliseconds(ms: int) -> None:
    text = rfc3339(ms)
    assert text.endswith("Z")
    assert len(text) == 24
    moment = datetime.fromisoformat(text)
    assert (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() == pytest.approx(ms / 1000)


@given(parts=st.lists(st.text(), min_size=2), others=st.lists(st.text(), min_size=2))
def test_ids_of_different_parts_differ(parts: list[str], others: list[str]) -> None:
    assert (join_id(parts) == join_id(others)) == (parts == others)


def test_what_is_not_known_is_absent_and_nothing_is_null() -> None:
    text = encode(WINDOW)
    assert b"null" not in text
    found = json.loads(text)
    assert found["type"] == "window"
    assert found["metrics"] == {"accuracy": {"value": 1.0, "n": 3.0}}
    assert "predictions" not in found
    assert found["size_s"] == 60


@pytest.mark.parametrize(
    "payload",
    [
        WINDOW,
        Alert(
            id="ab-0",
            fingerprint="ab",
            revision=0,
            status="open",
            severity="warning",
            rule="low",
            model="m",
            model_version="*",
            segment="*",
            summary="accuracy fell",
            opened_at=rfc3339(0),
            at=rfc3339(0),
            evidence=Evidence(metric="accuracy", contributors=[Contributor(name="DE", share=0.5)]),
        ),
        Unmatched(
            id="orphan|0|x",
            reason="orphan",
            prediction_id="x",
            timestamp=rfc3339(0),
            at=rfc3339(1),
            actual="yes",
        ),
    ],
)
def test_payloads_are_read_back_as_they_were(payload: Window | Alert | Unmatched) -> None:
    assert decode(encode(payload)) == payload


def test_whole_seconds_are_whole_numbers() -> None:
    assert [seconds(ms) for ms in (0, 500, 60_000)] == [0, 0.5, 60]
