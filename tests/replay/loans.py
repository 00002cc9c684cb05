"""The synthetic car loans of the NannyML wheel: predictions, and truth that comes as truth does.

Truth is delayed by a day on average and out of order; some comes twice, some is corrected, some
comes after the horizon, some never.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

HOUR, DAY = 3_600_000, 86_400_000
TICK = 12 * HOUR
PARTITIONS = 2
HORIZON = 10 * DAY
NUMERIC = ("car_value", "debt_to_income_ratio", "loan_length", "driver_tenure")
CATEGORICAL = ("salary_range", "repaid_loan_on_prev_car", "size_of_downpayment")

PIPELINE: dict[str, Any] = {
    "application": "loans",
    "kafka": {"bootstrap_servers": "127.0.0.1:1"},
    "topics": {"partitions": PARTITIONS},
    "processing": {"tick": "12h", "idle_timeout": "60s"},
    "limits": {"max_age": None},
    "windows": [{"size": "1d"}, {"size": "5d", "hop": "1d"}],
    "models": ["loan.yaml"],
}
MODEL: dict[str, Any] = {
    "model": "loan",
    "task": "binary",
    "classes": ["0", "1"],
    "features": {
        **{name: {"kind": "numeric"} for name in NUMERIC},
        **{name: {"kind": "categorical"} for name in CATEGORICAL},
    },
    "label_horizon": "10d",
    "remember": "10d",
    "allowed_lateness": "6h",
    "out_of_orderness": "1h",
    "drift": {"distances": ["psi", "jensen_shannon", "kolmogorov_smirnov"]},
    "alerts": [
        {"rule": "drift", "name": "inputs-moved", "distance": "psi", "above": 0.25},
        {"rule": "threshold", "name": "accuracy-low", "metric": "accuracy", "below": 0.9},
    ],
}
COLUMNS = (
    "prediction_id=id",
    "prediction=y_pred",
    "score=y_pred_proba",
)
PROFILE_OPTIONS = ("--prediction", "y_pred", "--score", "y_pred_proba", "--label", "repaid")


def predictions(path: Path) -> pd.DataFrame:
    """Read predictions, with the time of each in ms in column ``ts``; ids are strings."""
    frame = pd.read_csv(path, dtype={"id": str})
    for column in frame.columns.intersection(["repaid_loan_on_prev_car"]):
        frame[column] = frame[column].map({True: "true", False: "false"})
    frame["ts"] = pd.to_datetime(frame["timestamp"]).to_numpy("datetime64[ms]").astype(np.int64)
    return frame


@dataclass(frozen=True)
class Truth:
    """What became of the truth of each prediction, and the events that say so.

    Attributes:
        events: (id, ts, actual), in the order in which they are published.
        first: truth that arrived first within the horizon, NaN for none; shape [predictions].
        last: truth after corrections, likewise.
        corrected: how many were corrected.
        repeated: how many were published twice.
        late: how many came after the horizon.
    """

    events: list[tuple[str, int, float]]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    corrected: int
    repeated: int
    late: int

    def write(self, path: Path) -> None:
        with path.open("wb") as file:
            for identity, ts, actual in self.events:
                file.write(feedback(identity, ts, actual) + b"\n")


def feedback(identity: str, ts: int, actual: float) -> bytes:
    value = int(actual) if actual.is_integer() else actual
    return orjson.dumps({"prediction_id": identity, "timestamp": ts, "actual": value})


def delayed(
    ids: list[str],
    ts: NDArray[np.int64],
    actual: NDArray[np.float64],
    correction: NDArray[np.float64],
    seed: int = 11,
) -> Truth:
    """Let truth come as it does.

    Args:
        ids: ids of the predictions.
        ts: when they were made.
        actual: their truth.
        correction: what takes its place where it is corrected.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    n = len(ids)
    arrival = ts + 1_000 + np.minimum(random.exponential(DAY, n), 9 * DAY).astype(np.int64)
    fate = random.random(n)
    missing, late = fate < 0.03, (fate >= 0.03) & (fate < 0.033)
    corrected, repeated = (fate >= 0.04) & (fate < 0.05), (fate >= 0.05) & (fate < 0.07)
    arrival[late] = ts[late] + HORIZON + 3 * DAY
    # (place in the topic, row, time, truth): places differ from times by up to half an hour.
    shuffle = random.integers(-HOUR // 2, HOUR // 2, n)
    rows = [
        (int(arrival[i] + shuffle[i]), i, int(arrival[i]), float(actual[i]))
        for i in np.flatnonzero(~missing).tolist()
    ]
    again = [(place + 2 * HOUR, i, at, value) for place, i, at, value in rows if repeated[i]]
    better = [
        (at + 6 * HOUR, i, at + 6 * HOUR, float(correction[i]))
        for _, i, at, _ in rows
        if corrected[i]
    ]
    ordered = sorted(rows + again + better)
    known = ~missing & ~late
    return Truth(
        [(ids[i], at, value) for _, i, at, value in ordered],
        np.where(known, actual, np.nan),
        np.where(known, np.where(corrected, correction, actual), np.nan),
        len(better),
        len(again),
        int(late.sum()),
    )


def loan_truth(frame: pd.DataFrame, targets: Path) -> Truth:
    """Let the truth of the loans come; corrections turn it around."""
    truth = pd.read_csv(targets, dtype={"id": str}).set_index("id")["repaid"]
    actual = truth.loc[frame["id"]].to_numpy(np.float64)
    return delayed(frame["id"].tolist(), frame["ts"].to_numpy(), actual, 1.0 - actual)
