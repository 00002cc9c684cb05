"""A minimal version of the job on stock Faust, written the way Faust's documentation does.

Two agents meet in a table: whichever half of a pair comes first waits there for the other. The
accuracy is counted in a hopping window. No time alignment, no duplicates, no drift, no intervals;
it is what is compared with, not what is recommended. Configured by environment variables, because
Faust has its own command line:

    BENCH_BOOTSTRAP, BENCH_PREDICTIONS, BENCH_FEEDBACK, BENCH_ROWS, BENCH_OUT, BENCH_STATE

BENCH_STATE is ``tables``, or ``dicts``: then plain dictionaries take the place of the tables, which
loses everything at a restart and is the most that an app per event could do.
"""

import os
import time
from collections import defaultdict
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import faust
import orjson
from measuring import used_by

STARTED = time.monotonic()
ROWS = int(os.environ["BENCH_ROWS"])

app = faust.App(
    f"bench-stock-{os.environ['BENCH_STATE']}",
    broker=f"kafka://{os.environ['BENCH_BOOTSTRAP']}",
    store="memory://",
    topic_partitions=1,
    producer_linger=0.05,  # the default of 0 makes it half as fast
    producer_max_batch_size=1_000_000,
    web_enabled=False,
)


class Prediction(faust.Record, serializer="json"):
    """A prediction."""

    prediction_id: str
    timestamp: int
    model: str
    model_version: str
    prediction: bool
    score: float
    features: dict[str, float]
    tags: dict[str, str]
    latency_ms: float


class Feedback(faust.Record, serializer="json"):
    """Its truth."""

    prediction_id: str
    timestamp: int
    actual: bool


predictions = app.topic(os.environ["BENCH_PREDICTIONS"], value_type=Prediction)
feedback = app.topic(os.environ["BENCH_FEEDBACK"], value_type=Feedback)
DURABLE = os.environ["BENCH_STATE"] == "tables"
SIZE_S, HOP_S = 300, 60
waiting: Any = app.Table("waiting") if DURABLE else {}
counts: Any = (
    app.Table("counts", default=lambda: [0, 0]).hopping(
        timedelta(seconds=SIZE_S), timedelta(seconds=HOP_S), expires=timedelta(days=36500)
    )
    if DURABLE
    else defaultdict(lambda: [0, 0])
)
progress = {"joined": 0, "correct": 0, "first_cpu": 0.0, "first_wall": 0.0}


@app.agent(predictions)
async def on_prediction(stream: Any) -> None:
    """Match predictions with truth that came before them."""
    async for prediction in stream:
        if not progress["first_wall"]:
            first = used_by(os.getpid(), STARTED)
            progress["first_cpu"], progress["first_wall"] = first.cpu_seconds, first.wall_seconds
        actual = waiting.get(prediction.prediction_id)
        if actual is None:
            waiting[prediction.prediction_id] = {
                "prediction": prediction.prediction,
                "model": prediction.model,
            }
        else:
            del waiting[prediction.prediction_id]
            right = prediction.prediction == actual["actual"]
            count(prediction.model, prediction.timestamp, correct=right)


@app.agent(feedback)
async def on_feedback(stream: Any) -> None:
    """Match truth with predictions that came before it."""
    async for truth in stream:
        found = waiting.get(truth.prediction_id)
        if found is None:
            waiting[truth.prediction_id] = {"actual": truth.actual}
        else:
            del waiting[truth.prediction_id]
            right = found["prediction"] == truth.actual
            count(found["model"], truth.timestamp, correct=right)


def count(model: str, stamp: int, *, correct: bool) -> None:
    """Count a pair in the windows of the current event."""
    if DURABLE:
        labels, right = counts[model].value()
        counts[model] = [labels + 1, right + correct]
    else:
        last = stamp // 1000 // HOP_S * HOP_S
        for start in range(last, last - SIZE_S, -HOP_S):
            window = counts[model, start]
            window[0] += 1
            window[1] += correct
    progress["joined"] += 1
    progress["correct"] += correct
    if progress["joined"] == ROWS:
        report()


def report() -> None:
    """Write what it took, for the benchmark to read."""
    used = used_by(os.getpid(), STARTED)
    found = {
        "joined": progress["joined"],
        "correct": progress["correct"],
        **asdict(used),
        "cpu_seconds_net": used.cpu_seconds - progress["first_cpu"],
        "wall_seconds_net": used.wall_seconds - progress["first_wall"],
    }
    out = Path(os.environ["BENCH_OUT"])
    out.with_suffix(".part").write_bytes(orjson.dumps(found))
    out.with_suffix(".part").rename(out)


if __name__ == "__main__":
    app.main()
