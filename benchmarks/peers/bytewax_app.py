"""The job on Bytewax, written the way its documentation does.

``join`` brings predictions and truth together by id and forgets a pair when it is complete,
``fold_window`` counts by the predictions' own time, a stateful operator runs ADWIN. Messages are
decoded by the batch and windows do not sort their rows, both for speed. Recovery is on (run with
``-r`` and ``-s``).
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import orjson
import work
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.operators.windowing import (
    EventClock,
    SlidingWindower,
    TumblingWindower,
    fold_window,
)

BROKERS = [work.BOOTSTRAP]
ALIGN = datetime(2025, 1, 1, tzinfo=UTC)
MINUTE = timedelta(milliseconds=work.TUMBLING_MS)
# Truth comes up to 61 s after its prediction; the watermark also moves on while a batch is decoded.
LATEST = timedelta(seconds=90)

Pair = tuple[datetime, bool]


class Decoder:
    """Decodes batches of predictions."""

    def __init__(self) -> None:
        self.begun = False

    def __call__(self, batch: list[KafkaSourceMessage]) -> Iterable[dict[str, Any]]:
        """Decode a batch."""
        if not self.begun and batch:
            self.begun = True
            work.first_record()
        return [orjson.loads(message.value) for message in batch]


def time_of(event: dict[str, Any]) -> datetime:
    """Read an event's time."""
    return datetime.fromtimestamp(event["timestamp"] / 1000, UTC)


def for_join(batch: list[dict[str, Any]]) -> Iterable[tuple[str, Any]]:
    """Keep of predictions what the join needs, by id."""
    return [(p["prediction_id"], (p["model"], time_of(p), p["prediction"])) for p in batch]


def for_drift(batch: list[dict[str, Any]]) -> Iterable[tuple[str, Any]]:
    """Keep of predictions what feature drift needs, by model."""
    return [(p["model"], (time_of(p), work.values_of(p["features"]))) for p in batch]


def truths(batch: list[KafkaSourceMessage]) -> Iterable[tuple[str, bool]]:
    """Decode truth, by id."""
    events = [orjson.loads(message.value) for message in batch]
    return [(event["prediction_id"], event["actual"]) for event in events]


def judged(batch: list[tuple[str, tuple[Any, bool]]]) -> Iterable[tuple[str, Pair]]:
    """Tell of complete pairs whether they were right, by model."""
    return [(model, (at, said == actual)) for _, ((model, at, said), actual) in batch]


def clock() -> EventClock:
    """Make a clock of the items' own time."""
    return EventClock(ts_getter=lambda item: item[0], wait_for_system_duration=LATEST)


def count(total: list[int], pair: Pair) -> list[int]:
    """Count a pair."""
    total[0] += 1
    total[1] += pair[1]
    return total


def add(total: list[int], other: list[int]) -> list[int]:
    """Put two counts together."""
    return [total[0] + other[0], total[1] + other[1]]


def count_features(histogram: work.Histogram, item: tuple[datetime, Any]) -> work.Histogram:
    """Count the features of a prediction."""
    histogram.add(item[1])
    return histogram


class ErrorLogic(StatefulBatchLogic):
    """ADWIN on the error of one model; tells the number of alarms when it grows."""

    def __init__(self, state: work.ErrorDrift | None) -> None:
        self.state = state or work.ErrorDrift()

    def on_batch(self, batch: list[Pair]) -> tuple[Iterable[int], bool]:
        """Take pairs in order."""
        before = self.state.alarms
        for _, correct in batch:
            self.state.update(correct=correct)
        new = self.state.alarms - before
        return ([self.state.alarms] if new else []), StatefulBatchLogic.RETAIN

    def snapshot(self) -> work.ErrorDrift:
        """Copy the state."""
        copy = work.ErrorDrift()
        copy.detector, copy.alarms = self.state.detector.clone(include_attributes=True), 0
        copy.alarms = self.state.alarms
        return copy


def start_ms(number: int) -> int:
    """Find where a window begins; both kinds begin a minute apart."""
    return int((ALIGN + number * MINUTE).timestamp() * 1000)


def message(body: dict[str, Any]) -> KafkaSinkMessage:
    """Encode a result."""
    return KafkaSinkMessage(b"", orjson.dumps(body))


flow = Dataflow("bench")
predictions = op.flat_map_batch(
    "decode-predictions",
    op.input("predictions", flow, KafkaSource(BROKERS, [work.PREDICTIONS])),
    Decoder(),
)
truth = op.flat_map_batch(
    "decode-truth", op.input("feedback", flow, KafkaSource(BROKERS, [work.FEEDBACK])), truths
)
joined = op.join("join", op.flat_map_batch("for-join", predictions, for_join), truth)
pairs = op.flat_map_batch("judged", joined, judged)

windowers = {
    work.TUMBLING_MS: TumblingWindower(length=MINUTE, align_to=ALIGN),
    work.HOPPING_MS: SlidingWindower(
        length=timedelta(milliseconds=work.HOPPING_MS), offset=MINUTE, align_to=ALIGN
    ),
}
results = []
for size_ms, windower in windowers.items():
    closed = fold_window(
        f"windows-{size_ms}", pairs, clock(), windower, lambda: [0, 0], count, add, ordered=False
    ).down
    results.append(
        op.map(
            f"result-{size_ms}",
            closed,
            lambda item, size_ms=size_ms: message(
                work.window_result(size_ms, start_ms(item[1][0]), *item[1][1])
            ),
        )
    )

histograms = fold_window(
    "features",
    op.flat_map_batch("for-drift", predictions, for_drift),
    clock(),
    windowers[work.TUMBLING_MS],
    work.Histogram,
    count_features,
    work.Histogram.merge,
    ordered=False,
).down


def compare(
    drift: work.Drift | None, item: tuple[int, work.Histogram]
) -> tuple[work.Drift, KafkaSinkMessage]:
    """Compare the last minutes with the reference."""
    drift = drift or work.Drift()
    return drift, message(drift.close(start_ms(item[0]), item[1]))


results.append(op.key_rm("drift-results", op.stateful_map("drift", histograms, compare)))
alarms = op.stateful_batch("error-drift", pairs, ErrorLogic)
results.append(
    op.map("alarms", alarms, lambda item: message({"window": "alarms", "start": 0, "n": item[1]}))
)
op.output("results", op.merge("all-results", *results), KafkaSink(BROKERS, work.WINDOWS))
