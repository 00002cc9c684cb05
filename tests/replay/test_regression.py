"""Real data of a regression: every figure against scikit-learn and numpy on the same rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from replay import loans
from replay.oracle import check_categorical, check_drift, check_numeric, check_regression
from replay.running import build_profile, lines, ms, replay, select, write_config

from streams.events.partitioner import partition_for

pytestmark = pytest.mark.data

HALF = loans.DAY // 2
PARTITIONS = 2
TICK = 2 * loans.HOUR
NUMERIC = ("car_age", "km_driven", "price_new", "accident_count", "door_count")
CATEGORICAL = ("fuel", "transmission")
PIPELINE: dict[str, Any] = loans.PIPELINE | {
    "topics": {"partitions": PARTITIONS},
    "processing": {"tick": "2h"},
    "windows": [{"size": "12h"}, {"size": "1d", "hop": "12h"}],
    "models": ["price.yaml"],
}
MODEL: dict[str, Any] = {
    "model": "price",
    "task": "regression",
    "features": {
        **{name: {"kind": "numeric"} for name in NUMERIC},
        **{name: {"kind": "categorical"} for name in CATEGORICAL},
    },
    "segments": ["fuel"],
    "label_horizon": "10d",
    "remember": "10d",
    "drift": {"distances": ["psi", "jensen_shannon", "kolmogorov_smirnov"]},
    "alerts": [
        {"rule": "drift", "name": "inputs-moved"},
        {"rule": "drift", "name": "prices-moved", "on": "prediction"},
        {"rule": "drift", "name": "truth-moved", "on": "label"},
    ],
}


def test_windows_of_used_car_prices_equal_scikit_learn(nannyml_data: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, PIPELINE, MODEL)
    profile = build_profile(
        config,
        MODEL,
        nannyml_data / "regression_synthetic_reference.csv",
        ("--prediction", "y_pred", "--label", "y_true"),
    )
    analysis = nannyml_data / "regression_synthetic_analysis.csv"
    frame = loans.predictions(analysis)
    targets = pd.read_csv(
        nannyml_data / "regression_synthetic_analysis_targets.csv", dtype={"id": str}
    ).set_index("id")["y_true"]
    actual = targets.loc[frame["id"]].to_numpy(np.float64)
    ts = frame["ts"].to_numpy()
    truth = loans.delayed(frame["id"].tolist(), ts, actual, np.round(actual * 1.1))
    truth.write(tmp_path / "feedback.jsonl")
    out = tmp_path / "out"
    summary = replay(
        config,
        out,
        analysis,
        tmp_path / "feedback.jsonl",
        ("prediction_id=id", "prediction=y_pred"),
        model="price",
    )
    assert summary["feedback"]["corrected"] == truth.corrected
    assert summary["feedback"]["late"] == truth.late
    windows = lines(out / "windows.jsonl")
    predicted = frame["y_pred"].to_numpy(np.float64)
    checked = 0
    for segment in ("*", *(f"fuel={name}" for name in frame["fuel"].unique())):
        part = np.full(len(frame), True) if segment == "*" else frame["fuel"] == segment[5:]
        found = select(windows, view="prediction_time", model_version="*", segment=segment)
        for (start, end), window in found.items():
            rows = (ts >= start) & (ts < end) & part
            known = np.flatnonzero(rows & np.isfinite(truth.last))
            assert window["final"]
            assert window["predictions"] == rows.sum()
            check_regression(window, truth.last[known], predicted[known])
            checked += 1
    assert checked > 4 * 2 * 45

    rows_of = {identity: row for row, identity in enumerate(frame["id"])}
    clocks = [0] * PARTITIONS
    moments = np.full(len(frame), -1)
    for identity, at, _ in truth.events:
        partition = partition_for(identity.encode(), PARTITIONS)
        clocks[partition] = max(clocks[partition], at)
        row = rows_of[identity]
        if moments[row] < 0 and np.isfinite(truth.first[row]):
            moments[row] = clocks[partition] // TICK * TICK
    arrived = select(windows, view="label_time", model_version="*", segment="*")
    for (start, end), window in arrived.items():
        known = np.flatnonzero((moments >= start) & (moments < end))
        check_regression(window, truth.first[known], predicted[known])
    assert sum(w["labels"] for w in arrived.values() if w["size_s"] == HALF // 1000) == sum(
        np.isfinite(truth.first)
    )

    compared = 0
    described = [window for window in windows if "inputs" in window]
    for (start, end), window in select(described, model_version="*", segment="*").items():
        part = frame[(ts >= start) & (ts < end)]
        for name in NUMERIC:
            check_numeric(window["inputs"][name], part[name])
        for name in CATEGORICAL:
            check_categorical(window["inputs"][name], part[name])
        for column, distances in window.get("drift", {}).items():
            if column.startswith("feature:") and len(part) > 500:
                name = column.removeprefix("feature:")
                check_drift(distances, profile["features"][name], part[name])
                compared += 1
    assert compared > 40 * 7

    # In the middle of this half the prices change, and with them the errors; the inputs do not.
    middle = ts[len(ts) // 2]
    moved = {alert["rule"]: ms(alert["opened_at"]) for alert in lines(out / "alerts.jsonl")}
    assert moved.keys() == {"prices-moved", "truth-moved"}
    assert all(middle < at < middle + 3 * loans.DAY for at in moved.values())
    assert any(middle < ms(event["at"]) for event in lines(out / "drift.jsonl"))
