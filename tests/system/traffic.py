"""Some thousands of the car loans as two services would publish them, and their end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from replay import loans
from system.live import Event

from streams.events.partitioner import partition_for

PARTITIONS = 4
TICK = 12 * loans.HOUR

PIPELINE: dict[str, Any] = loans.PIPELINE | {
    "topics": {"partitions": PARTITIONS},
    "processing": {"tick": "12h", "idle_timeout": "120s", "checkpoint_interval": "500ms"},
    "sinks": {"publish_unmatched": ["late", "orphan", "conflict", "expired"]},
}
MODEL: dict[str, Any] = loans.MODEL | {
    "segments": ["size_of_downpayment"],
    "drift": {"distances": ["psi"], "min_rows": 100},
    "alerts": [
        *loans.MODEL["alerts"],
        {"rule": "detector", "name": "errors-changed", "detector": "adwin"},
        {"rule": "staleness", "name": "silent", "predictions_after": "2d"},
    ],
}


@dataclass(frozen=True)
class Traffic:
    """Events in the order of publishing, and the same as files.

    Attributes:
        events: predictions and feedback, merged by time.
        end: event time up to which all partitions have come; ms, a multiple of the tick.
        predictions: file with the predictions alone.
        feedback: file with the feedback alone.
    """

    events: list[Event]
    end: int
    predictions: Path
    feedback: Path

    def count(self, topic: str) -> int:
        return sum(one[0] == topic for one in self.events)


def make(data: Path, folder: Path, rows: int, skip: int = 0) -> Traffic:
    """Take loans of the analysis half.

    Args:
        data: folder of the data sets.
        folder: where the files go.
        rows: how many predictions.
        skip: how many to leave out before.
    """
    frame = loans.predictions(data / "synthetic_car_loan_analysis.csv")
    frame = frame.iloc[skip : skip + rows].reset_index(drop=True)
    truth = loans.loan_truth(frame, data / "synthetic_car_loan_analysis_target.csv")
    features = [*loans.NUMERIC, *loans.CATEGORICAL]
    timed: list[tuple[int, Event]] = []
    for row in frame.to_dict("records"):
        event = {
            "prediction_id": row["id"],
            "timestamp": row["ts"],
            "model": "loan",
            "model_version": "1" if row["ts"] % (3 * loans.DAY) < 2 * loans.DAY else "2",
            "prediction": row["y_pred"],
            "score": row["y_pred_proba"],
            "features": {name: row[name] for name in features},
        }
        timed.append((row["ts"], ("predictions", row["id"], orjson.dumps(event))))
    timed += [
        (ts, ("feedback", identity, loans.feedback(identity, ts, actual)))
        for identity, ts, actual in truth.events
    ]
    # One more of each kind in every partition, after everything: they end all windows before.
    end = max(ts for ts, _ in timed) + 20 * loans.DAY
    end -= end % TICK
    for partition in range(PARTITIONS):
        identity = next(
            name
            for name in (f"end-{partition}-{i}" for i in range(1_000))
            if partition_for(name.encode(), PARTITIONS) == partition
        )
        last = {"prediction_id": identity, "timestamp": end, "model": "loan", "model_version": "1"}
        timed.append((end, ("predictions", identity, orjson.dumps(last | {"prediction": 1}))))
        timed.append((end, ("feedback", identity, loans.feedback(identity, end, 1.0))))
    # Each topic keeps its own order, which is not quite that of times.
    clocks: dict[str, int] = {}
    placed: list[tuple[int, Event]] = []
    for ts, one in timed:
        clocks[one[0]] = max(clocks.get(one[0], 0), ts)
        placed.append((clocks[one[0]], one))
    merged = [one for _, one in sorted(placed, key=lambda pair: pair[0])]
    traffic = Traffic(merged, end, folder / "predictions.jsonl", folder / "feedback.jsonl")
    folder.mkdir(parents=True, exist_ok=True)
    for path, topic in ((traffic.predictions, "predictions"), (traffic.feedback, "feedback")):
        path.write_bytes(b"".join(line + b"\n" for name, _, line in merged if name == topic))
    return traffic
