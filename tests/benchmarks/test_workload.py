"""The benchmark measures what it says: the workload is complete and the books notice faults."""

from pathlib import Path

import msgspec
import numpy as np
import orjson
import pytest
from driftline_system import Books, WrongCountsError
from measuring import parse_cpu_seconds, parse_peak_rss
from results import Result, ratios, table
from workload import START_MS, Encoded, Messages, Workload, draw, encoded
from workload import encode as encode_workload

from streams.payloads import MetricValue, View, Window, encode

SMALL = Workload(rows=1_200, rate=400.0, features=3, batch=500)


@pytest.fixture(scope="module")
def made() -> Encoded:
    return encode_workload(SMALL)


def test_every_prediction_gets_exactly_one_label_within_a_minute(made: Encoded) -> None:
    predictions = [orjson.loads(value) for value, _, _ in made.predictions]
    truth = [orjson.loads(value) for value, _, _ in made.feedback]
    at = {p["prediction_id"]: p["timestamp"] for p in predictions}
    assert len(at) == len(truth) == SMALL.rows
    assert {t["prediction_id"] for t in truth} == set(at)
    delays = [t["timestamp"] - at[t["prediction_id"]] for t in truth]
    assert min(delays) >= 0
    assert max(delays) < 60_000


def test_labels_arrive_out_of_order_of_the_predictions_and_of_their_own_time(made: Encoded) -> None:
    stamps = [orjson.loads(value)["timestamp"] for value, _, _ in made.feedback]
    assert stamps != sorted(stamps)
    assert made.feedback.row.tolist() != sorted(made.feedback.row.tolist())


def test_batches_hold_the_same_rows_as_single_messages(made: Encoded) -> None:
    def rows(messages: Messages) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for value, _, _ in messages:
            columns = orjson.loads(value)["columns"]
            found += zip(columns["prediction_id"], columns["timestamp"], strict=True)
        return found

    def singles(messages: Messages) -> list[tuple[str, int]]:
        events = [orjson.loads(value) for value, _, _ in messages]
        return [(event["prediction_id"], event["timestamp"]) for event in events]

    assert rows(made.prediction_batches) == singles(made.predictions)
    assert rows(made.feedback_batches) == singles(made.feedback)


def test_right_ones_can_be_counted_among_the_first_predictions(made: Encoded) -> None:
    assert made.correct_among(SMALL.rows) == made.correct
    assert sum(made.correct_among(n + 1) - made.correct_among(n) for n in range(1, 9)) <= 8


def test_the_number_of_right_predictions_is_what_the_messages_say(made: Encoded) -> None:
    predicted = {
        event["prediction_id"]: event["prediction"]
        for event in (orjson.loads(value) for value, _, _ in made.predictions)
    }
    truth = [orjson.loads(value) for value, _, _ in made.feedback]
    assert sum(predicted[t["prediction_id"]] == t["actual"] for t in truth) == made.correct


def test_a_workload_read_from_the_cache_is_the_one_that_was_made(
    made: Encoded, tmp_path: Path
) -> None:
    first = encoded(SMALL, tmp_path)
    again = encoded(SMALL, tmp_path)
    for workload in (first, again):
        assert list(workload.predictions) == list(made.predictions)
        assert list(workload.feedback_batches) == list(made.feedback_batches)
        assert workload.correct == made.correct


def test_a_part_of_the_feedback_is_about_the_first_predictions_alone(made: Encoded) -> None:
    ids = {key for _, key, _ in made.predictions.about(100)}
    assert len(ids) == 100
    assert {key for _, key, _ in made.feedback.about(100)} == ids


def test_ids_are_version_7_uuids_of_the_time_of_the_prediction() -> None:
    rows = draw(SMALL, 0, 50)
    for identity, stamp in zip(rows.ids, rows.stamps.tolist(), strict=True):
        assert int(identity.replace("-", "")[:12], 16) == stamp
        assert identity[14] == "7"
        assert identity[19] in "89ab"
    assert np.all(rows.stamps >= START_MS)


def window(view: View, size: int, n: int, correct: int, **parts: object) -> Window:
    made = Window(
        id=f"{view}|{size}",
        model="risk",
        model_version="*",
        segment="*",
        view=view,
        start="2025-01-01T00:00:00.000Z",
        end="2025-01-01T00:01:00.000Z",
        size_s=size,
        hop_s=60,
        revision=0,
        final=True,
        published_at_event_time="2025-01-01T01:00:00.000Z",
        predictions=n if view == "prediction_time" else None,
        labels=n,
        metrics={"accuracy": MetricValue(value=1.0, n=n)},
        operation={},
        confusion={"tp": correct, "fp": n - correct, "tn": 0, "fn": 0},
    )
    return msgspec.structs.replace(made, **parts)


def books(*windows: Window) -> Books:
    found = Books("2025-01-01T01:00:00.000Z")
    for one in windows:
        found.take(encode(one))
    return found


def whole(n: int, correct: int) -> list[Window]:
    views: tuple[View, View] = ("prediction_time", "label_time")
    return [
        window(view, size, n * times, correct)
        for view in views
        for size, times in ((60, 1), (300, 5))
    ]


def test_books_balance_when_every_row_is_counted_once() -> None:
    found = books(*whole(10, 7))
    assert found.complete(10)
    found.check(10, 7, segments=False)


@pytest.mark.parametrize("sent", [9, 11])
def test_books_notice_rows_that_are_lost_or_counted_twice(sent: int) -> None:
    with pytest.raises(WrongCountsError, match="predictions: 10 instead of"):
        books(*whole(10, 7)).check(sent, 7, segments=False)


def test_books_notice_a_window_that_was_published_twice() -> None:
    with pytest.raises(WrongCountsError, match="repeated windows: 1"):
        books(*whole(10, 7), whole(10, 7)[0]).check(10, 7, segments=False)


def test_books_count_the_newest_revision_and_only_when_it_is_final() -> None:
    first = window("prediction_time", 60, 4, 4, final=False)
    assert books(first).predictions() == 0
    assert books(first, window("prediction_time", 60, 5, 5, revision=1)).predictions() == 5


def test_cpu_time_and_memory_are_read_from_what_linux_tells() -> None:
    stat = "7 (a (strange) name) S " + " ".join(str(i) for i in range(4, 53))
    assert parse_cpu_seconds(stat) == (14 + 15) / 100
    assert parse_peak_rss("Name:\tx\nVmHWM:\t     12 kB\nVmRSS:\t 3 kB\n") == 12 * 1024


def test_systems_are_compared_without_what_starting_costs() -> None:
    ours = Result("driftline", "", 100, 1.0, 2.0, 1, 1.0, 1.0)
    stock = Result("stock_faust", "", 10, 9.0, 9.0, 1, 2.0, 2.0)
    assert ratios([ours, stock]) == {"driftline / stock_faust": 20.0}
    assert "stock_faust" in table([ours, stock])
