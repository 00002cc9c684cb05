"""The job on Quix Streams, written the way its documentation does.

``join_asof`` looks up the prediction of each truth (records of both topics are processed in order
of their timestamps), ``tumbling_window`` and ``hopping_window`` count by the predictions' own time,
the features of a window are collected and counted with numpy when it closes. Everything else is as
Quix has it by default: RocksDB and changelog topics, at least once, a commit every five seconds.
ADWIN stays in memory, since state has to be JSON.
"""

import os
from datetime import timedelta
from typing import Any

import quixstreams.dataframe.windows.aggregations as agg
import work
from quixstreams import Application

GRACE = timedelta(seconds=62)
MINUTE = timedelta(milliseconds=work.TUMBLING_MS)

app = Application(
    broker_address=work.BOOTSTRAP,
    consumer_group="bench-quix",
    auto_offset_reset="earliest",
    state_dir=os.environ["BENCH_STATE_DIR"],
    loglevel="WARNING",
)
results = app.topic(work.WINDOWS, value_serializer="json")
predictions = app.dataframe(
    app.topic(work.PREDICTIONS, key_deserializer="str", value_deserializer="json")
)
truth = app.dataframe(app.topic(work.FEEDBACK, key_deserializer="str", value_deserializer="json"))
error_drift = work.ErrorDrift()
drift = work.Drift()
begun: list[bool] = []


def begin(_: Any) -> None:
    """Note the first record."""
    if not begun:
        begun.append(True)
        work.first_record()


def for_join(event: dict[str, Any]) -> dict[str, Any]:
    """Keep of a prediction what the join needs."""
    return {"model": event["model"], "at": event["timestamp"], "said": event["prediction"]}


def judge(truth: dict[str, Any], prediction: dict[str, Any]) -> dict[str, Any]:
    """Tell of a pair whether it was right."""
    correct = prediction["said"] == truth["actual"]
    return {"model": prediction["model"], "at": prediction["at"], "correct": correct}


def note_error(pair: dict[str, Any]) -> None:
    """Feed ADWIN."""
    error_drift.update(correct=pair["correct"])


def compare(window: dict[str, Any]) -> dict[str, Any]:
    """Compare the features of a closed window with the reference."""
    histogram = work.Histogram()
    histogram.take(window["rows"])
    return drift.close(window["start"], histogram)


predictions = predictions.update(begin)
joined = truth.join_asof(
    predictions.apply(for_join), how="inner", on_merge=judge, grace_ms=timedelta(minutes=10)
)
pairs = joined.group_by("model").set_timestamp(lambda pair, *_: pair["at"]).update(note_error)
counted = {"n": agg.Count(), "correct": agg.Sum("correct")}
for size_ms, window in (
    (work.TUMBLING_MS, pairs.tumbling_window(MINUTE, grace_ms=GRACE)),
    (
        work.HOPPING_MS,
        pairs.hopping_window(timedelta(milliseconds=work.HOPPING_MS), MINUTE, grace_ms=GRACE),
    ),
):
    closed = window.agg(**counted).final()
    closed.apply(
        lambda found, size_ms=size_ms: work.window_result(
            size_ms, found["start"], found["n"], found["correct"]
        )
    ).to_topic(results)

features = predictions.group_by("model").apply(
    lambda event: list(work.values_of(event["features"]))
)
features.tumbling_window(MINUTE).agg(rows=agg.Collect()).final().apply(compare).to_topic(results)

if __name__ == "__main__":
    app.run()
