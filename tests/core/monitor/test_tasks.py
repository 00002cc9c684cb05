"""Models of every task through the whole monitor."""

import json
from typing import Any

import numpy as np
import pytest
from core.monitor.worlds import MINUTE, START, Row, Silent, World, chunk_of, processor, settings_of
from sklearn import metrics as sk

BASE: dict[str, Any] = {
    "model": "m",
    "windows": [{"size": MINUTE}],
    "label_horizon": MINUTE,
    "allowed_lateness": MINUTE,
    "alerts": [],
}


def final(model: dict[str, Any], rows: list[Row]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The whole model's first window by prediction time, finally, and its first by label time."""
    settings = settings_of({**BASE, **model})
    records = [b.encode() for b in World(settings).bundles(rows, START + 10 * MINUTE)[0]]
    monitor = processor(settings, Silent())
    monitor.step(chunk_of(records), 0)
    checkpoint = monitor.checkpoint(0)
    assert checkpoint is not None
    found = [json.loads(output.value) for output in checkpoint.outputs]
    whole = [p for p in found if p.get("model_version") == "*"]
    predicted = [p for p in whole if p["view"] == "prediction_time" and p["final"]]
    arrived = [p for p in whole if p["view"] == "label_time"]
    return predicted[0], arrived[0]


def test_multiclass() -> None:
    rng = np.random.default_rng(1)
    scores = rng.dirichlet([1, 1, 1], 60)
    truth = rng.integers(0, 2, 60)
    rows = [
        Row(
            START + 100 * i,
            score=s,
            predicted=float(s.argmax()),
            actual=int(t),
            arrival=START + 100 * i,
        )
        for i, (s, t) in enumerate(zip(scores, truth, strict=True))
    ]
    for p in final({"task": "multiclass", "classes": ["a", "b", "c"]}, rows):
        accuracy = sk.accuracy_score(truth, scores.argmax(axis=1))
        assert p["metrics"]["accuracy"]["value"] == pytest.approx(accuracy)
        assert set(p["per_class"]) == {"a", "b", "c"}
        assert "recall" not in p["per_class"]["c"]
        assert set(p["confusion_matrix"]) == {"a", "b"}
        assert sum(sum(row.values()) for row in p["confusion_matrix"].values()) == 60


def test_regression() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(10, 3, 60)
    called = truth + rng.normal(0, 1, 60)
    rows = [
        Row(START + 100 * i, predicted=float(c), actual=float(t), arrival=START + 100 * i)
        for i, (c, t) in enumerate(zip(called, truth, strict=True))
    ]
    for p in final({"task": "regression"}, rows):
        assert p["metrics"]["r2"]["value"] == pytest.approx(sk.r2_score(truth, called))
        assert "score_histogram" not in p
        assert "confusion" not in p


def test_ranking() -> None:
    rows = [
        Row(START + 100 * i, actual=[0.5, 0.25, 1.0, 0.125], arrival=START + 100 * i)
        for i in range(8)
    ]
    for p in final({"task": "ranking", "top_k": [5]}, rows):
        assert {n: v["value"] for n, v in p["metrics"].items()} == {
            "mrr": 0.5,
            "ndcg_at_5": 0.25,
            "hit_rate_at_5": 1.0,
            "map_at_5": 0.125,
        }


def test_outcomes() -> None:
    rows = [
        Row(START + 100 * i, events=[("click", 0.0)] if i < 2 else [], arrival=START + 100 * i)
        for i in range(8)
    ]
    for row in rows[2:]:
        row.arrival = None
    predicted, arrived = final({"task": "outcome", "outcomes": {"click": {"role": "click"}}}, rows)
    assert predicted["metrics"]["ctr"]["value"] == 0.25
    assert predicted["label_coverage"] == 0.25
    assert arrived["metrics"] == {}
    assert arrived["labels"] == 2
    assert "predictions" not in arrived


def test_a_model_without_truth_has_traffic_alone() -> None:
    rows = [Row(START + 100 * i, latency=5.0, predicted=1.0) for i in range(8)]
    settings = settings_of({**BASE, "task": "regression"})
    records = [b.encode() for b in World(settings).bundles(rows, START + 10 * MINUTE)[0]]
    monitor = processor(settings, Silent())
    monitor.step(chunk_of(records), 0)
    found = monitor.latest().windows
    assert {w.view for w in found} == {"prediction_time"}
    assert all(w.metrics == {} and w.predictions == 8 and w.labels == 0 for w in found)
