"""Services test their logging against a publisher in memory."""

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import streams
from streams import EventLog, InMemoryPublisher, InvalidEventError, Loss, PublisherStats
from streams.publish.encode import dumps
from streams.publish.ids import in_sample, new_id


def test_events_can_be_looked_at() -> None:
    publisher = InMemoryPublisher()
    made = publisher.log_prediction(
        model="fraud",
        model_version="3",
        prediction=np.bool_(True),
        score={np.int64(0): np.float32(0.25), np.int64(1): 0.75},
        features={"amount": np.float64(3), "vector": np.arange(2), "gone": float("nan")},
        tags={"country": np.str_("de")},
        timestamp=datetime(2026, 1, 2, tzinfo=UTC),
        latency_ms=1.5,
        error=False,
        variant="b",
    )
    publisher.log_feedback(made, actual=1, value=2.0, weight=3.0, event="e", item="i", timestamp=5)
    assert publisher.predictions == [
        {
            "prediction_id": made,
            "timestamp": "2026-01-02T00:00:00+00:00",
            "model": "fraud",
            "model_version": "3",
            "prediction": True,
            "score": {"0": 0.25, "1": 0.75},
            "features": {"amount": 3.0, "vector": [0, 1], "gone": None},
            "tags": {"country": "de"},
            "latency_ms": 1.5,
            "error": False,
            "variant": "b",
        }
    ]
    assert publisher.feedback == [
        {
            "prediction_id": made,
            "timestamp": 5,
            "actual": 1,
            "value": 2.0,
            "weight": 3.0,
            "event": "e",
            "item": "i",
        }
    ]
    publisher.clear()
    assert (publisher.predictions, publisher.feedback) == ([], [])


async def test_it_stands_in_for_a_publisher_in_every_call() -> None:
    def serve(publisher: EventLog) -> None:
        with publisher:
            publisher.log_prediction(model="m", model_version="1")
            assert publisher.flush() == 0

    publisher = InMemoryPublisher()
    serve(publisher)
    async with publisher:
        assert await publisher.aflush() == 0
    assert publisher.stats() == PublisherStats(logged=1, delivered=1)


def test_batches_appear_as_single_events() -> None:
    publisher = InMemoryPublisher()
    frame = pd.DataFrame({"amount": [1.5, None], "when": pd.to_datetime(["2026-01-01", None])})
    ids = publisher.log_predictions(
        model="m",
        model_version="1",
        score={"a": np.array([0.1, 0.2]), "b": [0.9, 0.8]},
        features=frame,
        timestamp=frame["when"],
    )
    publisher.log_feedbacks(np.array(["x", "y"]), actual=pd.Series([1, 2]))
    assert [event["prediction_id"] for event in publisher.predictions] == ids
    assert publisher.predictions[1] == {
        "prediction_id": ids[1],
        "timestamp": None,
        "model": "m",
        "model_version": "1",
        "score": {"a": 0.2, "b": 0.8},
        "features": {"amount": None, "when": None},
    }
    assert publisher.predictions[0]["timestamp"] == "2026-01-01T00:00:00+00:00"
    assert [(event["prediction_id"], event["actual"]) for event in publisher.feedback] == [
        ("x", 1),
        ("y", 2),
    ]


def test_invalid_events_raise_unless_told_otherwise() -> None:
    with pytest.raises(InvalidEventError, match="prediction_id"):
        InMemoryPublisher().log_prediction("", model="m", model_version="1")
    lenient = InMemoryPublisher(strict=False)
    lenient.log_prediction("", model="m", model_version="1")
    assert lenient.stats() == PublisherStats(logged=1, lost={Loss.INVALID: 1})


def test_new_ids_are_distinct_version_7_uuids_in_order_of_time() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert all(len(made) == 36 and made[14] == "7" and made[19] in "89ab" for made in ids)
    stamps = [made[:13] for made in ids]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("hooks", [True, False])
def test_seeds_and_forks_repeat_no_ids(*, hooks: bool) -> None:
    script = (
        "import os, random\n"
        f"if not {hooks}: os.register_at_fork = lambda **hooks: None\n"
        "from streams.publish.ids import new_id\n"
        "child = os.fork(); random.seed(1)\n"
        "made = [new_id() for _ in range(100)]\n"
        "if child: os.waitpid(child, 0)\n"
        "print(*made, sep='\\n', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    tails = [line[14:] for line in done.stdout.splitlines()]
    assert len(tails) == len(set(tails)) == 200


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_sample_contains_the_smaller(name: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert in_sample(name, large) or not in_sample(name, small)
    assert in_sample(name, 1)
    assert not in_sample(name, 0)


def test_a_time_without_a_zone_is_utc() -> None:
    naive = datetime(2026, 1, 2)  # noqa: DTZ001 - the subject of the test
    assert dumps(naive) == b'"2026-01-02T00:00:00+00:00"'
    assert dumps(pd.Timestamp(naive)) == b'"2026-01-02T00:00:00+00:00"'


def test_every_exported_name_can_be_imported() -> None:
    assert streams.__all__ == sorted(streams.__all__)
    for name in streams.__all__:
        assert getattr(streams, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Unknown'"):
        _ = streams.Unknown
