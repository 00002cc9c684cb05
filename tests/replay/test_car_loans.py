"""Real data of a binary classifier: every figure against scikit-learn on the same rows."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from replay import loans
from replay.oracle import check_binary, check_categorical, check_drift, check_numeric
from replay.running import Json, build_profile, lines, ms, replay, select, write_config

from streams.events.partitioner import partition_for

pytestmark = pytest.mark.data

SIZES = {86_400: loans.DAY, 432_000: 5 * loans.DAY}
EVERY = 8
"""One window of so many is compared with scikit-learn too, which takes its time."""


@dataclass(frozen=True)
class Replayed:
    frame: pd.DataFrame
    truth: loans.Truth
    profile: Json
    summary: Json
    windows: list[Json]
    alerts: list[Json]
    reference_alerts: list[Json]


@pytest.fixture(scope="module")
def loan(nannyml_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """Build the profile, replay the analysis half with truth, and the reference half without."""
    folder = tmp_path_factory.mktemp("loans")
    config = write_config(folder, loans.PIPELINE, loans.MODEL)
    reference = nannyml_data / "synthetic_car_loan_reference.csv"
    analysis = nannyml_data / "synthetic_car_loan_analysis.csv"
    profile = build_profile(config, loans.MODEL, reference, loans.PROFILE_OPTIONS)
    frame = loans.predictions(analysis)
    truth = loans.loan_truth(frame, nannyml_data / "synthetic_car_loan_analysis_target.csv")
    truth.write(folder / "feedback.jsonl")
    out = folder / "out"
    summary = replay(config, out, analysis, folder / "feedback.jsonl", loans.COLUMNS)
    columns = (*loans.COLUMNS, "actual=repaid")
    replay(config, folder / "reference", reference, None, columns)
    return Replayed(
        frame,
        truth,
        profile,
        summary,
        lines(out / "windows.jsonl"),
        lines(out / "alerts.jsonl"),
        lines(folder / "reference" / "alerts.jsonl"),
    )


def test_every_row_is_accounted_for(loan: Replayed) -> None:
    known = int(np.isfinite(loan.truth.first).sum())
    assert loan.summary["predictions"] == {
        "in": 50_000,
        "joined": known,
        "waiting": 0,
        "expired": 50_000 - known,
        "duplicate": 0,
        "quarantined": 0,
    }
    assert loan.summary["feedback"] == {
        "in": len(loan.truth.events),
        "joined": known,
        "waiting": 0,
        "duplicate": loan.truth.repeated,
        "corrected": loan.truth.corrected,
        "conflict": 0,
        "late": loan.truth.late,
        "orphan": 0,
        "quarantined": 0,
    }


@pytest.mark.parametrize("size", SIZES)
def test_final_windows_by_prediction_time_equal_scikit_learn(loan: Replayed, size: int) -> None:
    ts = loan.frame["ts"].to_numpy()
    windows = select(loan.windows, view="prediction_time", size_s=size, model_version="*")
    starts = {start for start, _ in windows}
    first, last = ts.min() // loans.DAY * loans.DAY, ts.max() // loans.DAY * loans.DAY
    assert starts == set(range(first - SIZES[size] + loans.DAY, last + 1, loans.DAY))
    predicted = loan.frame["y_pred"].to_numpy(np.float64)
    score = loan.frame["y_pred_proba"].to_numpy(np.float64)
    for (start, end), window in windows.items():
        assert window["final"]
        rows = (ts >= start) & (ts < end)
        known = rows & np.isfinite(loan.truth.last)
        assert window["predictions"] == rows.sum()
        assert window["label_coverage"] == pytest.approx(known.sum() / rows.sum(), rel=1e-9)
        thorough = start // loans.DAY % EVERY == 0
        check_binary(
            window, loan.truth.last[known], predicted[known], score[known], thorough=thorough
        )


@pytest.mark.parametrize("size", SIZES)
def test_windows_by_label_time_equal_scikit_learn_on_what_arrived(
    loan: Replayed, size: int
) -> None:
    rows = {identity: row for row, identity in enumerate(loan.frame["id"])}
    clocks = [0] * loans.PARTITIONS
    arrived: dict[int, list[int]] = defaultdict(list)
    met: set[str] = set()
    for identity, ts, _ in loan.truth.events:
        partition = partition_for(identity.encode(), loans.PARTITIONS)
        clocks[partition] = max(clocks[partition], ts)
        if np.isfinite(loan.truth.first[rows[identity]]) and identity not in met:
            met.add(identity)
            arrived[clocks[partition] // loans.TICK * loans.TICK].append(rows[identity])
    windows = select(loan.windows, view="label_time", size_s=size, model_version="*")
    moments = np.concatenate([np.full(len(found), at) for at, found in arrived.items()])
    index = np.concatenate([np.array(found) for found in arrived.values()])
    predicted = loan.frame["y_pred"].to_numpy(np.float64)
    score = loan.frame["y_pred_proba"].to_numpy(np.float64)
    counted = 0
    for (start, end), window in windows.items():
        found = index[(moments >= start) & (moments < end)]
        thorough = start // loans.DAY % EVERY == 0
        check_binary(
            window, loan.truth.first[found], predicted[found], score[found], thorough=thorough
        )
        counted += len(found)
    assert counted == len(index) * SIZES[size] // loans.DAY


def test_each_version_is_measured_like_the_whole_while_there_is_one(loan: Replayed) -> None:
    apart = {"id", "model_version"}
    kinds: dict[str, list[Json]] = {"1": [], "*": []}
    for window in loan.windows:
        kinds[window["model_version"]].append(
            {name: value for name, value in window.items() if name not in apart}
        )
    assert kinds["1"] == kinds["*"]


def test_inputs_and_their_drift_equal_numpy_and_scipy(loan: Replayed) -> None:
    described = [window for window in loan.windows if "inputs" in window]
    frame = loan.frame.sort_values("ts")
    ts = frame["ts"].to_numpy()
    compared = 0
    for size in SIZES:
        found = select(described, view="prediction_time", size_s=size, model_version="*")
        for (start, end), window in found.items():
            low, high = np.searchsorted(ts, (start, end))
            rows = frame.iloc[low:high]
            for name in loans.NUMERIC:
                check_numeric(window["inputs"][name], rows[name])
            for name in loans.CATEGORICAL:
                check_categorical(window["inputs"][name], rows[name])
            for column, distances in window.get("drift", {}).items():
                name = column.removeprefix("feature:")
                if name != column and high - low >= 500:
                    check_drift(distances, loan.profile["features"][name], rows[name])
                    compared += 1
    assert compared > 300 * 7


def test_the_known_drift_raises_an_alert_and_the_reference_raises_none(loan: Replayed) -> None:
    moved = [a for a in loan.alerts if a["rule"] == "inputs-moved" and a["status"] == "open"]
    middle = loan.frame["ts"].iloc[len(loan.frame) // 2]
    assert moved
    # The generator changes car values in the second half of the analysis data alone.
    assert min(ms(alert["at"]) for alert in moved) > middle - 15 * loans.DAY
    assert any(c["name"] == "car_value" for a in moved for c in a["evidence"]["contributors"])
    worse = [a for a in loan.alerts if a["rule"] == "accuracy-low" and a["status"] == "open"]
    assert worse
    assert [a for a in loan.reference_alerts if a["rule"] == "inputs-moved"] == []
