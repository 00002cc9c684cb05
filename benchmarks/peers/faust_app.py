"""The job on stock Faust, written the way Faust's documentation does.

Two agents meet in a table: whichever half of a pair comes first waits there for the other. Accuracy
is counted in a tumbling and in a hopping window table. Faust closes windows by the wall clock,
which does not suit a catch-up, so they are published when the last row was joined. ADWIN and the
histograms of the features stay in memory: as tables, every event would send all of a histogram to
the changelog. No time alignment, no duplicates, no intervals; it is what is compared with, not what
is recommended.

BENCH_STATE is ``tables``, or ``dicts``: then plain dictionaries take the place of the tables, which
loses everything at a restart and is the most that an app per event could do.
"""

import os
from collections import defaultdict
from datetime import timedelta
from typing import Any

import faust
import work

app = faust.App(
    f"bench-faust-{os.environ['BENCH_STATE']}",
    broker=f"kafka://{work.BOOTSTRAP}",
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


predictions = app.topic(work.PREDICTIONS, value_type=Prediction)
feedback = app.topic(work.FEEDBACK, value_type=Feedback)
windows = app.topic(work.WINDOWS)
DURABLE = os.environ["BENCH_STATE"] == "tables"
FOREVER = timedelta(days=36500)


def window_table(name: str, size_ms: int) -> Any:
    """Make a table of windows of a size, a minute apart."""
    if not DURABLE:
        return defaultdict(lambda: [0, 0])
    size, hop = timedelta(milliseconds=size_ms), timedelta(milliseconds=work.TUMBLING_MS)
    table = app.Table(name, default=lambda: [0, 0])
    if size == hop:
        return table.tumbling(size, expires=FOREVER)
    return table.hopping(size, hop, expires=FOREVER)


waiting: Any = app.Table("waiting") if DURABLE else {}
counts = {
    size_ms: window_table(f"counts-{size_ms}", size_ms)
    for size_ms in (work.TUMBLING_MS, work.HOPPING_MS)
}
histograms: defaultdict[int, work.Histogram] = defaultdict(work.Histogram)
error_drift = work.ErrorDrift()
progress = {"predictions": 0, "joined": 0}


@app.agent(predictions)
async def on_prediction(stream: Any) -> None:
    """Measure predictions and match them with truth that came before them."""
    async for prediction in stream:
        if not progress["predictions"]:
            work.first_record()
        progress["predictions"] += 1
        minute = prediction.timestamp // work.TUMBLING_MS * work.TUMBLING_MS
        histograms[minute].add(work.values_of(prediction.features))
        actual = waiting.get(prediction.prediction_id)
        if actual is None:
            waiting[prediction.prediction_id] = {
                "prediction": prediction.prediction,
                "model": prediction.model,
            }
        else:
            del waiting[prediction.prediction_id]
            right = prediction.prediction == actual["actual"]
            await count(prediction.model, prediction.timestamp, correct=right)


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
            await count(found["model"], truth.timestamp, correct=right)


async def count(model: str, stamp: int, *, correct: bool) -> None:
    """Count a pair in the windows of the current event."""
    for size_ms, table in counts.items():
        if DURABLE:
            table[model].apply(add, [1, correct])  # in every window that holds the event
        else:
            last = stamp // work.TUMBLING_MS * work.TUMBLING_MS
            for start in range(last, last - size_ms, -work.TUMBLING_MS):
                window = table[model, start]
                window[0] += 1
                window[1] += correct
    error_drift.update(correct=correct)
    progress["joined"] += 1
    if progress["joined"] == work.ROWS:
        await publish()


def add(total: list[int], other: list[int]) -> list[int]:
    """Put two counts together."""
    return [total[0] + other[0], total[1] + other[1]]


async def publish() -> None:
    """Publish all windows."""
    drift = work.Drift()
    for start, histogram in sorted(histograms.items()):
        await windows.send(value=drift.close(start, histogram))
    for size_ms, table in counts.items():
        for (_, window), (labels, right) in (table.table if DURABLE else table).items():
            start = round(window[0] * 1000) if DURABLE else window
            await windows.send(value=work.window_result(size_ms, start, labels, right))


if __name__ == "__main__":
    app.main()
