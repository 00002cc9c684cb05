"""Events go in, alerts come out: the rules behind the real join and monitor."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from streams.config.model import ModelConfig
from streams.config.pipeline import PipelineConfig
from streams.config.settings import Settings
from streams.payloads import Alert
from streams.profile.build import ProfileBuilder
from streams.profile.rows import ReferenceRows, Texts
from streams.replay import Replay
from streams.wire import Output

MINUTE = 60_000
T0 = 1_795_615_200_000  # 2026-11-25 14:00 UTC
STEP = 1_000
COUNTRIES = ["DE", "FR", "IT"]
HOUR = 60 * MINUTE

MODEL: dict[str, Any] = {
    "model": "fraud",
    "task": "binary",
    "classes": ["no", "yes"],
    "features": {
        "amount": {"kind": "numeric"},
        "age": {"kind": "numeric"},
        "country": {"kind": "categorical"},
    },
    "segments": ["country"],
    "windows": [{"size": 5 * MINUTE}],
    "label_horizon": HOUR,
    "reference": __file__,
    "runbook": "https://wiki/fraud",
    "alerts": [
        {"rule": "threshold", "name": "accuracy", "metric": "accuracy", "below": 0.8},
        {"rule": "drift", "name": "drift", "distance": "psi"},
        {"rule": "detector", "name": "change", "detector": "adwin"},
        {"rule": "quality", "name": "missing", "check": "missing_rate", "above": 0.5},
        {"rule": "volume", "name": "traffic", "change": 0.5},
        {"rule": "staleness", "name": "silent", "predictions_after": 10 * MINUTE},
    ],
}
OTHER: dict[str, Any] = {
    "model": "other",
    "task": "outcome",
    "outcomes": {"click": {"role": "click"}},
    "alerts": [],
}


def settings() -> Settings:
    """Build the model with a reference of what it sees before anything is wrong."""
    config = ModelConfig.model_validate(MODEL)
    rng = np.random.default_rng(1)
    rows = ReferenceRows(
        20_000,
        {"amount": rng.normal(size=20_000), "age": rng.uniform(20, 60, 20_000)},
        {"country": Texts(COUNTRIES, (np.arange(20_000) % 3).astype(np.int32))},
    )
    builder = ProfileBuilder(config)
    builder.learn(rows)
    builder.settle()
    builder.count(rows)
    reference = builder.finish("2026-11-20T10:00:00.000Z")
    pipeline = PipelineConfig.model_validate(
        {
            "kafka": {"bootstrap_servers": "none:1"},
            "topics": {"partitions": 2},
            "models": ["any.yaml"],
            "processing": {"tick": 10_000},
        }
    )
    models = [config, ModelConfig.model_validate(OTHER)]
    return Settings.build(pipeline, models, {"fraud": reference})


def traffic() -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Make two hours: good, from 14:30 on bad, good again from 15:00 to 15:30, then silent."""
    rng = np.random.default_rng(2)
    for number, ts in enumerate(range(T0, T0 + 2 * HOUR, STEP)):
        at = ts - T0
        bad = HOUR // 2 <= at < HOUR
        if at >= 3 * HOUR // 2:
            if number % 20 == 0:  # another model keeps event time going
                yield {"prediction_id": f"o{number}", "timestamp": ts, "model": "other"}, None
            continue
        country = COUNTRIES[number % 3]
        wrong = rng.uniform() < (0.9 if bad and country == "DE" else 0.05)
        answer = bool(rng.uniform() < 0.5)
        features: dict[str, Any] = {
            "amount": float(rng.normal()) + (3.0 if bad else 0.0),
            "country": country,
        }
        if not bad:
            features["age"] = float(rng.uniform(20, 60))
        name = f"p{number}"
        yield (
            {
                "prediction_id": name,
                "timestamp": ts,
                "model": "fraud",
                "model_version": "1",
                "prediction": "yes" if answer else "no",
                "features": features,
            },
            {
                "prediction_id": name,
                "timestamp": ts + 1_000,
                "actual": "yes" if answer != wrong else "no",
            },
        )


@pytest.fixture(scope="module")
def alerts() -> list[Alert]:
    """All alerts of the two hours, in order."""
    found: list[Alert] = []

    def keep(output: Output) -> None:
        if output.topic == "alerts":
            found.append(msgspec.json.decode(output.value, type=Alert))

    def events(which: int) -> Iterator[tuple[str, int, bytes]]:
        for pair in traffic():
            event = pair[which]
            if event is not None:
                yield event["prediction_id"], event["timestamp"], json.dumps(event).encode()

    Replay(settings(), keep).run(events(0), events(1))
    return found


def story(alerts: list[Alert], rule: str) -> list[tuple[str, str]]:
    """What happened to a rule: status and time of day."""
    return [(a.status, a.at[11:16]) for a in alerts if a.rule == rule and a.status != "update"]


def first(alerts: list[Alert], rule: str) -> Alert:
    return next(alert for alert in alerts if alert.rule == rule)


def test_a_metric_opens_with_the_first_bad_window_and_resolves_with_the_first_good_one(
    alerts: list[Alert],
) -> None:
    assert story(alerts, "accuracy") == [("open", "14:35"), ("resolved", "15:05")]
    opened = first(alerts, "accuracy")
    assert [c.name for c in opened.evidence.contributors] == ["country=DE"]
    assert opened.summary.startswith("fraud: accuracy 0.6")
    assert opened.summary.endswith("is below 0.80 in 14:30\u201314:35 UTC")
    assert opened.runbook == "https://wiki/fraud"


def test_drift_names_the_feature_and_where_in_it(alerts: list[Alert]) -> None:
    assert story(alerts, "drift") == [("open", "14:35"), ("resolved", "15:05")]
    names = [c.name for c in first(alerts, "drift").evidence.contributors]
    assert names[0] == "amount"
    assert names[1].startswith("amount from 1.")


def test_a_feature_that_is_missing_has_an_alert_of_its_own(alerts: list[Alert]) -> None:
    assert story(alerts, "missing") == [("open", "14:35"), ("resolved", "15:05")]
    assert first(alerts, "missing").subject == "age"


def test_the_detector_is_sooner_than_the_window(alerts: list[Alert]) -> None:
    opened = first(alerts, "change")
    assert opened.status == "open"
    assert "14:30" <= opened.at[11:16] < "14:33"


def test_traffic_that_stops_is_told_by_volume_and_by_staleness(alerts: list[Alert]) -> None:
    assert story(alerts, "traffic") == [("open", "15:35")]
    assert story(alerts, "silent") == [("open", "15:40")]


def test_every_id_is_its_fingerprint_and_revision_and_occurs_once(alerts: list[Alert]) -> None:
    ids = [alert.id for alert in alerts]
    assert len(set(ids)) == len(ids)
    assert ids == [f"{alert.fingerprint}-{alert.revision}" for alert in alerts]
