"""Records become rows; what cannot is rejected with its reason, and spoils nothing else."""

import json
import math
from typing import Any

import numpy as np
import pytest
from events.examples import CLICK, FRAUD, NOW, build_chunk, build_settings, flatten

from streams.events.columns import NO_CLOCK
from streams.events.intake import FeedbackIntake, PredictionIntake
from streams.events.reasons import Reason

GOOD = {
    "prediction_id": "p1",
    "timestamp": NOW,
    "model": "fraud",
    "model_version": "3",
    "prediction": True,
    "score": 0.75,
    "features": {"amount": 12.5, "age": 30, "channel": "web"},
    "tags": {"country": "DE", "user": 17},
    "latency_ms": 3.5,
    "variant": "a",
}
GOOD_FEEDBACK = {"prediction_id": "p1", "timestamp": NOW, "actual": True}


def predict(*values: Any, settings: Any = None, clock: Any = NO_CLOCK, **more: Any) -> Any:
    intake = PredictionIntake(settings or build_settings())
    return intake.decode(build_chunk(list(values), **more), clock, NOW)


def learn(*values: Any, clock: Any = NO_CLOCK, **more: Any) -> Any:
    intake = FeedbackIntake(build_settings())
    return intake.decode(build_chunk(list(values), "feedback", **more), clock, NOW)


def only(decoded: Any) -> Any:
    assert not decoded.rejected
    (block,) = decoded.rows.blocks
    return block


def why(decoded: Any) -> Any:
    (rejected,) = decoded.rejected
    return rejected.reason, rejected.detail


def test_every_field_of_a_prediction_arrives() -> None:
    block = only(predict(GOOD))
    assert block.model == "fraud"
    assert list(block.ids) == ["p1"]
    assert block.ts.tolist() == [NOW]
    assert block.version.strings() == ["3"]
    assert block.predicted.tolist() == [1.0]
    assert block.score.tolist() == [0.75]
    assert block.numeric.tolist() == [[12.5, 30.0]]
    assert block.numeric_bad is None
    assert [column.strings() for column in block.categorical] == [["web"]]
    assert {name: column.strings() for name, column in block.tags.items()} == {
        "country": ["DE"],
        "user": ["17"],
        "variant": ["a"],
    }
    assert block.latency.tolist() == [3.5]
    assert block.error.tolist() == [False]


def test_all_but_id_time_model_and_prediction_may_be_absent() -> None:
    block = only(
        predict({"prediction_id": "p", "timestamp": NOW, "model": "fraud", "prediction": False})
    )
    assert block.version.strings() == ["unknown"]
    assert block.score is None
    assert np.isnan(block.numeric).all()
    assert np.isnan(block.latency).all()
    assert block.categorical[0].strings() == [None]


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"prediction_id": 5}, "wrong_type", "prediction_id: expected string, got number"),
        ({"prediction_id": ""}, "id_empty", "prediction_id"),
        ({"prediction_id": "x" * 257}, "id_too_long", "prediction_id"),
        ({"timestamp": "yesterday"}, "timestamp_invalid", "timestamp"),
        ({"timestamp": None}, "wrong_type", "timestamp"),
        ({"timestamp": NOW + 300_001}, "timestamp_future", "timestamp"),
        ({"timestamp": NOW - 2_592_000_001}, "timestamp_past", "timestamp"),
        ({"model": "nobody"}, "unknown_model", "model"),
        ({"model": 3}, "wrong_type", "model: expected string, got number"),
        ({"model_version": []}, "wrong_type", "model_version"),
        ({"prediction": "maybe"}, "unknown_class", "prediction"),
        ({"prediction": [1]}, "wrong_type", "prediction"),
        ({"prediction": {}}, "wrong_type", "prediction"),
        ({"score": "high"}, "wrong_type", "score: expected number"),
        ({"score": 1.5}, "wrong_type", "score"),
        ({"score": {"maybe": 0.5}}, "unknown_class", "score"),
        ({"score": {"true": 1.5}}, "wrong_type", "score"),
        ({"score": {"true": "x"}}, "wrong_type", "score"),
        ({"prediction": None, "score": None}, "missing_field", "prediction"),
        ({"features": []}, "wrong_type", "features: expected object, got array"),
        ({"tags": "DE"}, "wrong_type", "tags: expected object, got string"),
        ({"latency_ms": "fast"}, "wrong_type", "latency_ms"),
        ({"latency_ms": -1}, "wrong_type", "latency_ms"),
        ({"error": "no"}, "wrong_type", "error: expected true or false"),
        ({"variant": {}}, "wrong_type", "variant"),
    ],
)
def test_a_field_that_does_not_fit_is_named(change: Any, reason: Any, detail: Any) -> None:
    decoded = predict(GOOD, GOOD | change, GOOD)
    found, text = why(decoded)
    assert (found, text[: len(detail)]) == (reason, detail)
    assert decoded.rejected[0].record == 1
    assert decoded.rejected[0].row is None
    assert only_ids(decoded) == [0, 2]
    assert decoded.rows_in == 3


def only_ids(decoded: Any) -> Any:
    return decoded.rows.offset.tolist()


@pytest.mark.parametrize("field", ["prediction_id", "timestamp", "model"])
def test_a_field_that_every_event_needs_is_named_when_missing(field: Any) -> None:
    event = {key: value for key, value in GOOD.items() if key != field}
    assert why(predict(event)) == (Reason.MISSING_FIELD, f"{field}: required")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"   ", "bad_json"),
        (b"{", "bad_json"),
        (b"{}", "missing_field"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
        (b"5", "wrong_type"),
        (b"\xff\xfe", "bad_json"),
        (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), "bad_json"),
        (json.dumps(GOOD).encode() + b"{}", "bad_json"),
        (json.dumps(GOOD).encode() + b"\x00", "bad_json"),
        (json.dumps(GOOD).encode()[:-1], "bad_json"),
        (json.dumps(GOOD).encode().replace(b'"p1"', b'"\xff"'), "bad_json"),
        (json.dumps(GOOD).encode().replace(b'"p1"', b'"\\ud800"'), "bad_json"),
        (json.dumps(GOOD).encode().replace(b"12.5", b"NaN"), "bad_json"),
        (json.dumps(GOOD).encode().replace(b"12.5", b"1e999"), "not_finite"),
        (json.dumps(GOOD).encode().replace(b"0.75", b"1e999"), "not_finite"),
        (json.dumps(GOOD).encode().replace(b"12.5", b"9" * 5000), "not_finite"),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_json"),
        (b'{"x":' + b'{"a":' * 40_000 + b"1" + b"}" * 40_000 + b"}", "bad_json"),
        (b'{"x":"' + b"a" * 300_000 + b'"}', "too_large"),
        (b"[" * 10_000_000, "too_large"),
        (b'{"columns":"' + b"a" * 10_000_000, "too_large"),
        (b'{"columns":' + b"[" * 5000, "bad_json"),
        (b'{"columns":5}', "missing_field"),
        (b'{"model":"fraud","columns":5}', "bad_batch"),
        (b'{"model":"fraud","columns":{}}', "bad_batch"),
    ],
)
def test_a_record_that_is_no_event_spoils_only_itself(value: Any, reason: Any) -> None:
    decoded = predict(GOOD, value, GOOD)
    assert why(decoded)[0] == reason
    assert only_ids(decoded) == [0, 2]


def test_records_that_only_together_make_json_are_refused_each() -> None:
    whole = json.dumps(GOOD).encode()
    decoded = predict(whole + b"," + whole, whole[:30], whole[30:], GOOD)
    assert [one.reason for one in decoded.rejected] == [Reason.BAD_JSON] * 3
    assert len(decoded.rows) == 1


def test_no_detail_quotes_the_payload() -> None:
    secret = "s3cr3t-value"
    changes = [{key: secret} for key in GOOD if key not in {"prediction_id", "model_version"}]
    changes += [{"score": {secret: 1}}, {"features": secret}, {"prediction": [secret]}]
    decoded = predict(*(GOOD | change for change in changes))
    assert len(decoded.rejected) >= 9
    assert not any(secret in one.detail for one in decoded.rejected)


def test_a_feature_of_the_wrong_type_is_counted_not_rejected() -> None:
    odd = [
        {"amount": "12", "age": True, "channel": ["web"]},
        {"amount": [1], "age": None, "channel": {}},
        {"amount": 10**400, "age": 5, "channel": None},
    ]
    block = only(predict(GOOD, *(GOOD | {"features": one} for one in odd)))
    assert block.numeric_bad.tolist() == [
        [False, False],
        [True, True],
        [True, False],
        [True, False],
    ]
    assert np.isnan(block.numeric[block.numeric_bad]).all()
    assert math.isnan(block.numeric[2, 1])
    assert block.numeric[3, 1] == 5
    assert block.categorical[0].codes.tolist()[1:] == [-2, -2, -1]


def test_categories_are_one_string_however_they_are_spelled() -> None:
    spellings = ["5", 5, 5.0, True, "true", 1]
    events = [GOOD | {"features": {"channel": one}} for one in spellings]
    assert only(predict(*events)).categorical[0].strings() == ["5", "5", "5", "true", "true", "1"]


def test_a_tag_of_the_wrong_type_is_counted_not_rejected() -> None:
    block = only(predict(GOOD | {"tags": {"country": ["DE"], "user": None, "other": {}}}))
    assert block.tags["country"].codes.tolist() == [-2]
    assert block.tags["user"].codes.tolist() == [-1]


def test_explicit_nulls_are_missing_values() -> None:
    nulls = dict.fromkeys(GOOD) | {
        key: GOOD[key] for key in ("prediction_id", "timestamp", "model")
    }
    features = {"features": dict.fromkeys(GOOD["features"]), "tags": {"country": None}}
    block = only(predict(nulls | {"score": 0.1}, GOOD | features))
    assert np.isnan(block.numeric).all()
    assert block.numeric_bad is None
    assert block.predicted.tolist() == [0.0, 1.0]


def test_the_last_of_duplicate_keys_counts() -> None:
    raw = json.dumps(GOOD).encode()[:-1] + b',"score":0.25}'
    assert only(predict(raw)).score.tolist() == [0.25]


# ---- the predicted class ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "event", "predicted"),
    [
        (None, {"prediction": True, "score": 0.1}, 1),
        (None, {"prediction": "false", "score": 0.9}, 0),
        (None, {"score": 0.5}, 1),
        (None, {"score": 0.49}, 0),
        (0.8, {"score": 0.79, "prediction": True}, 0),
        (0.8, {"score": 0.8, "prediction": False}, 1),
        (0.8, {"prediction": True}, 1),
        (None, {"score": {"true": 0.9}}, 1),
        (None, {"score": {"false": 0.9}}, 0),
        (None, {"score": {"false": 0.1, "true": 0.9}, "prediction": False}, 0),
    ],
)
def test_a_threshold_decides_before_the_event_and_the_score_last(
    threshold: Any, event: Any, predicted: Any
) -> None:
    base = {"prediction_id": "p", "timestamp": NOW, "model": "fraud"}
    settings = build_settings(FRAUD | {"threshold": threshold})
    assert only(predict(base | event, settings=settings)).predicted.tolist() == [predicted]


def test_the_positive_class_may_be_the_first() -> None:
    settings = build_settings(FRAUD | {"positive_class": False})
    base = {"prediction_id": "p", "timestamp": NOW, "model": "fraud"}
    block = only(predict(base | {"score": 0.9}, base | {"score": {"true": 0.9}}, settings=settings))
    assert block.predicted.tolist() == [0, 1]
    assert block.score.tolist() == pytest.approx([0.9, 0.1])


def test_several_classes_have_one_probability_each_in_configured_order() -> None:
    base = {"prediction_id": "p", "timestamp": NOW, "model": "digit"}
    block = only(
        predict(
            base | {"score": {"2": 0.5, "a": 0.3, "1": 0.2}},
            base | {"score": {"1": 0.9}, "prediction": "a"},
            base | {"prediction": 2},
            base | {"prediction": 1.0, "score": {}},
        )
    )
    assert block.predicted.tolist() == [2, 0, 2, 1]
    assert block.score[:2].tolist() == [[0.3, 0.2, 0.5], [0, 0.9, 0]]
    assert np.isnan(block.score[2:]).all()
    assert why(predict(base | {"score": 0.5}))[0] == Reason.WRONG_TYPE
    assert why(predict(base | {"score": {"b": 0.5}}))[0] == Reason.UNKNOWN_CLASS


def test_a_regression_predicts_numbers() -> None:
    base = {"prediction_id": "p", "timestamp": NOW, "model": "price"}
    block = only(predict(base | {"prediction": 12}, base | {"score": -3.5}))
    assert block.predicted.tolist() == [12, -3.5]
    for wrong in ("12", True, [1]):
        assert why(predict(base | {"prediction": wrong}))[0] == Reason.WRONG_TYPE
    assert why(predict(base))[0] == Reason.MISSING_FIELD
    assert why(predict(base | {"score": {"a": 1}}))[0] == Reason.WRONG_TYPE


def test_a_ranking_is_a_list_of_items() -> None:
    base = {"prediction_id": "p", "timestamp": NOW, "model": "rank"}
    block = only(predict(base | {"prediction": ["x", 5, 7.0]}, base | {"error": True}))
    assert block.ranking == [["x", "5", "7"], []]
    assert np.isnan(block.predicted).all()
    assert why(predict(base | {"prediction": "x"}))[0] == Reason.WRONG_TYPE
    assert why(predict(base | {"score": 0.5}))[0] == Reason.MISSING_FIELD


def test_an_outcome_model_needs_no_prediction() -> None:
    base = {"prediction_id": "p", "timestamp": NOW, "model": "click"}
    block = only(predict(base, base | {"prediction": "banner", "score": 0.3}))
    assert np.isnan(block.predicted).all()
    assert block.score.tolist()[1] == pytest.approx(0.3)


def test_a_failed_prediction_has_no_predicted_class() -> None:
    block = only(predict(GOOD | {"error": True}, GOOD | {"error": True, "prediction": None}))
    assert block.error.all()
    assert np.isnan(block.predicted).all()


# ---- models -----------------------------------------------------------------------------------


def test_one_name_may_be_a_number_in_one_model_and_a_category_in_another() -> None:
    digit = {"prediction_id": "d", "timestamp": NOW, "model": "digit", "prediction": "a"}
    decoded = predict(
        GOOD,
        digit | {"features": {"channel": 5, "ink": 1}},
        digit | {"features": {"channel": "5"}},
        GOOD | {"features": {"channel": 5}},
    )
    fraud, number = decoded.rows.blocks
    assert fraud.rows.tolist() == [0, 3]
    assert fraud.categorical[0].strings() == ["web", "5"]
    assert number.rows.tolist() == [1, 2]
    assert number.numeric[0].tolist() == [1.0, 5.0]
    assert number.numeric_bad.tolist() == [[False, False], [False, True]]


def test_names_of_features_need_not_be_identifiers() -> None:
    names = ["class", "a b", "$.x", "ünï", "0", "f1", "__init__"]
    model = CLICK | {"features": {name: {"kind": "numeric"} for name in names}}
    event = {"prediction_id": "p", "timestamp": NOW, "model": "click"}
    features = {name: float(i) for i, name in enumerate(names)}
    block = only(predict(event | {"features": features}, settings=build_settings(model)))
    assert block.numeric.tolist() == [list(map(float, range(len(names))))]


def test_unknown_models_are_accepted_up_to_a_number_when_the_pipeline_says_so() -> None:
    settings = build_settings(
        processing={"unknown_models": "accept"}, limits={"max_unknown_models": 2}
    )
    intake = PredictionIntake(settings)
    events = [GOOD | {"model": name} for name in ("b", "a", "b", "c", "fraud", "")]
    decoded = intake.decode(build_chunk(events), NO_CLOCK, NOW)
    assert {block.model: block.rows.tolist() for block in decoded.rows.blocks} == {
        "b": [0, 2],
        "a": [1],
        "fraud": [3],
    }
    assert [(one.record, one.reason) for one in decoded.rejected] == [
        (3, Reason.UNKNOWN_MODEL),
        (5, Reason.UNKNOWN_MODEL),
    ]
    assert intake.accepted_models() == ["b", "a"]
    later = PredictionIntake(settings)
    later.accept_models(intake.accepted_models())
    assert not later.decode(build_chunk(events[:3]), NO_CLOCK, NOW).rejected
    assert later.decode(build_chunk(events[3:4]), NO_CLOCK, NOW).rejected


# ---- time -------------------------------------------------------------------------------------


def at(*times: Any) -> Any:
    return [GOOD | {"timestamp": NOW + seconds * 1000} for seconds in times]


def test_the_clock_is_the_running_maximum_of_accepted_rows() -> None:
    decoded = predict(*at(5, 3, 9, 4), clock=NOW + 4000)
    assert ((decoded.rows.clock - NOW) / 1000).tolist() == [5, 5, 9, 9]
    assert ((decoded.rows.ts - NOW) / 1000).tolist() == [5, 3, 9, 4]


def test_rejected_rows_do_not_move_the_clock() -> None:
    bad = [GOOD | {"timestamp": NOW + 200_000, "prediction": "maybe"}]
    decoded = predict(*at(1), *bad, *at(2, 400), *at(3))
    assert [one.reason for one in decoded.rejected] == ["unknown_class", "timestamp_future"]
    assert ((decoded.rows.clock - NOW) / 1000).tolist() == [1, 2, 3]


def test_a_prediction_is_late_by_its_models_allowance() -> None:
    events = at(0, 200, -400, -401)
    decoded = predict(*events, GOOD | {"model": "click", "timestamp": NOW - 401_000})
    assert [(one.record, one.reason) for one in decoded.rejected] == [
        (3, Reason.LATE),
        (4, Reason.LATE),
    ]


def test_the_records_own_time_bounds_the_future_where_it_has_one() -> None:
    old = NOW - 10_000_000
    event = GOOD | {"timestamp": old + 400_000}
    assert why(predict(event, timestamps=[old]))[0] == Reason.TIMESTAMP_FUTURE
    assert not predict(event, timestamps=[-1]).rejected


# ---- batches ----------------------------------------------------------------------------------

BATCH = {
    "model": "fraud",
    "model_version": 3,
    "columns": {
        "prediction_id": ["a", "b", "c"],
        "timestamp": [NOW, "2023-11-14T22:13:20Z", NOW / 1000],
        "prediction": [True, None, "false"],
        "score": [0.9, 0.2, None],
        "features": {"amount": [1, 2.5, None], "channel": ["web", 5, None], "unused": [{}]},
        "tags": {"country": ["DE", None, "FR"]},
        "latency_ms": [1, None, 2.5],
        "error": [False, None, True],
        "variant": ["a", None, "b"],
    },
}


def singles(batch: Any) -> Any:
    columns = batch["columns"]
    head = {key: value for key, value in batch.items() if key != "columns"}
    for i in range(len(columns["prediction_id"])):
        event = dict(head)
        for name, column in columns.items():
            if name in {"features", "tags"}:
                event[name] = {key: values[i] for key, values in column.items() if len(values) > i}
            elif isinstance(column, dict):
                event[name] = {key: values[i] for key, values in column.items() if values[i]}
            else:
                event[name] = column[i] if isinstance(column, list) else column
        yield event


def content(rows: Any) -> Any:
    return [row[:-1] for row in flatten(rows)]


@pytest.mark.parametrize("padding", [0, 2000])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"timestamp": NOW},
        {"features": {"amount": [1, "x", None], "channel": [[], 5, True]}},
        {"tags": {"country": [[], "DE", 5]}},
        {"prediction": ["maybe", True, 0.5]},
        {"score": {"true": [0.5, None, 0.25], "false": [0.5, 0.5, None]}},
        {"score": {"maybe": [0.5, None, None]}},
        {"score": [0.5, 7, "x"]},
        {"prediction_id": ["", 5, "c"]},
        {"timestamp": ["x", {}, NOW]},
        {"error": [True, 5, None]},
        {"features": None, "tags": None},
    ],
)
def test_a_batch_is_its_rows(change: Any, padding: Any) -> None:
    batch = BATCH | {"columns": BATCH["columns"] | change, "padding": "x" * padding}
    plain = {k: v for k, v in batch["columns"].items() if v is not None}
    each = predict(*singles({**BATCH, "columns": plain}))
    whole = predict(batch)
    assert content(whole.rows) == content(each.rows)
    assert [(one.reason, one.detail, one.row) for one in whole.rejected] == [
        (one.reason, one.detail, one.record) for one in each.rejected
    ]
    assert whole.rows_in == 3
    assert whole.records == 1


def test_a_number_out_of_range_costs_a_batch_one_row() -> None:
    raw = (
        json.dumps(BATCH)
        .encode()
        .replace(b"2.5, null]}", b"1e999, null]}")
        .replace(b"[1, 2.5", b"[1, 1e999")
    )
    decoded = predict(raw)
    assert [(one.reason, one.row) for one in decoded.rejected] == [(Reason.NOT_FINITE, 1)]
    assert list(decoded.rows.blocks[0].ids) == ["a", "c"]


def test_a_value_nested_too_deeply_costs_a_batch_one_row_or_itself() -> None:
    deep = []
    for _ in range(600):
        deep = [deep]
    columns = BATCH["columns"] | {"prediction": [True, deep, False]}
    decoded = predict(GOOD, BATCH | {"columns": columns}, GOOD)
    assert decoded.rows.offset.tolist()[0] == 0
    assert decoded.rows.offset.tolist()[-1] == 2
    assert decoded.rejected
    assert decoded.rows_in == len(decoded.rows) + len(decoded.rejected)


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"score": [1]}, "bad_batch", "columns.score: 1 values for 3 prediction ids"),
        ({"features": {"amount": [1]}}, "bad_batch", "columns.features.amount: 1 values"),
        ({"features": {"amount": 1}}, "bad_batch", "columns.features.amount: expected array"),
        ({"features": []}, "bad_batch", "columns.features: expected object"),
        ({"timestamp": [NOW]}, "bad_batch", "columns.timestamp"),
        ({"prediction_id": "abc"}, "bad_batch", "columns.prediction_id: expected array"),
        ({"error": True}, "bad_batch", "columns.error: expected array"),
        ({"score": {"true": [1]}}, "bad_batch", "columns.score"),
        ({"score": {"true": 1}}, "bad_batch", "columns.score"),
        ({"latency_ms": {}}, "bad_batch", "columns.latency_ms"),
    ],
)
def test_columns_that_do_not_fit_together_cost_the_batch(
    change: Any, reason: Any, detail: Any
) -> None:
    decoded = predict(GOOD, BATCH | {"columns": BATCH["columns"] | change})
    found, text = why(decoded)
    assert (found, text[: len(detail)]) == (reason, detail)
    assert decoded.rejected[0].row is None
    assert decoded.rows_in == 2


def test_what_a_batch_says_once_is_judged_once_when_it_cannot_be_read() -> None:
    nobody = predict(BATCH | {"model": "nobody"})
    assert [(one.reason, one.row) for one in nobody.rejected] == [
        (Reason.UNKNOWN_MODEL, row) for row in range(3)
    ]
    assert why(predict({"columns": BATCH["columns"]})) == (Reason.MISSING_FIELD, "model: required")
    assert why(predict(BATCH | {"model": 5}))[0] == Reason.WRONG_TYPE


def test_an_empty_batch_is_no_row() -> None:
    decoded = predict(GOOD, {"model": "fraud", "columns": {"prediction_id": [], "timestamp": []}})
    assert (len(decoded.rows), decoded.rows_in, decoded.rejected) == (1, 1, [])
    alone = predict({"model": "fraud", "columns": {"prediction_id": [], "timestamp": []}})
    assert (len(alone.rows), alone.rows.blocks, alone.rows_in) == (0, [], 0)


def test_batches_and_single_events_keep_the_topics_order() -> None:
    decoded = predict(GOOD, BATCH, GOOD | {"features": {"amount": "odd"}}, BATCH, GOOD, start=10)
    (block,) = decoded.rows.blocks
    assert list(block.ids) == ["p1", "a", "b", "c", "p1", "a", "b", "c", "p1"]
    assert decoded.rows.offset.tolist() == [10, 11, 11, 11, 12, 13, 13, 13, 14]
    assert block.numeric_bad[4].tolist() == [True, False]


def test_an_event_that_mentions_columns_is_still_an_event() -> None:
    event = GOOD | {"prediction_id": "columns", "columns": 5, "tags": {"columns": "x" * 2000}}
    assert list(only(predict(event)).ids) == ["columns"]


# ---- feedback ---------------------------------------------------------------------------------


def test_truth_of_each_kind_arrives() -> None:
    truths = [True, False, 1, 2.5, "yes", ["x", 5], {"x": 1, "y": 0.5}]
    decoded = learn(*(GOOD_FEEDBACK | {"actual": truth} for truth in truths))
    rows = decoded.rows
    assert not decoded.rejected
    assert rows.number[:4].tolist() == [1, 0, 1, 2.5]
    assert np.isnan(rows.number[4:]).all()
    assert rows.is_bool.tolist() == [True, True] + [False] * 5
    assert rows.text.strings() == [None] * 4 + ["yes", None, None]
    assert rows.items == {5: ["x", "5"], 6: {"x": 1, "y": 0.5}}
    assert rows.weight.tolist() == [1.0] * 7


def test_outcomes_arrive() -> None:
    rows = learn(
        {
            "prediction_id": "p",
            "timestamp": NOW,
            "event": "buy",
            "item": 7,
            "value": 9.5,
            "weight": 2,
        }
    ).rows
    assert rows.event.strings() == ["buy"]
    assert rows.item.strings() == ["7"]
    assert rows.value.tolist() == [9.5]
    assert rows.weight.tolist() == [2.0]
    assert np.isnan(rows.number).all()
    assert rows.is_bool is None


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"actual": None}, "missing_field", "actual: required unless event is given"),
        ({"actual": [[]]}, "wrong_type", "actual"),
        ({"actual": {"x": "y"}}, "wrong_type", "actual"),
        ({"weight": -1}, "wrong_type", "weight"),
        ({"weight": "x"}, "wrong_type", "weight: expected number, got string"),
        ({"event": 5}, "wrong_type", "event: expected string, got number"),
        ({"prediction_id": ""}, "id_empty", "prediction_id"),
        ({"timestamp": NOW + 400_000}, "timestamp_future", "timestamp"),
        ({"actual": 10**400}, "not_finite", "actual"),
    ],
)
def test_feedback_that_does_not_fit_is_named(change: Any, reason: Any, detail: Any) -> None:
    decoded = learn(GOOD_FEEDBACK, GOOD_FEEDBACK | change, GOOD_FEEDBACK)
    found, text = why(decoded)
    assert (found, text[: len(detail)]) == (reason, detail)
    assert decoded.rows.offset.tolist() == [0, 2]
    assert [raw.record for raw in decoded.rows.raw] == [0, 2]


def test_feedback_is_never_late() -> None:
    old = GOOD_FEEDBACK | {"timestamp": NOW - 86_400_000}
    decoded = learn(GOOD_FEEDBACK, old)
    assert not decoded.rejected
    assert decoded.rows.clock.tolist() == [NOW, NOW]


def test_a_batch_of_feedback_is_its_rows() -> None:
    columns = {
        "prediction_id": ["a", "b", "c", "d"],
        "timestamp": NOW,
        "actual": [True, "x", ["i"], None],
        "value": [None, 2, "bad", None],
        "event": [None, "buy", None, None],
    }
    decoded = learn(GOOD_FEEDBACK, {"columns": columns}, GOOD_FEEDBACK)
    assert list(decoded.rows.ids) == ["p1", "a", "b", "p1"]
    assert [(one.reason, one.row) for one in decoded.rejected] == [
        (Reason.WRONG_TYPE, 2),
        (Reason.MISSING_FIELD, 3),
    ]
    assert [(raw.record, raw.row) for raw in decoded.rows.raw] == [
        (0, None),
        (1, 0),
        (1, 1),
        (2, None),
    ]
    good = learn({"columns": columns | {"value": [None, 2, 3, None], "event": ["buy"] * 4}})
    assert list(good.rows.ids) == ["a", "b", "c", "d"]
    assert good.rows.items == {2: ["i"]}
