"""What labels say, and how good rankings are."""

from typing import Any

import numpy as np
import pytest
from core.join.driver import chunk_of
from core.join.oracle import ranking
from core.join.topics import START, Event, Record, encode, settings_for, settings_of
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from streams.core.join.ranking import ranking_scores
from streams.core.join.truth import gains_of, read_truth
from streams.core.layout import Layout, layout_of
from streams.core.ticks import NEVER
from streams.events.columns import FeedbackRows
from streams.events.intake import FeedbackIntake
from streams.events.reasons import Reason

ITEMS = [f"i{n}" for n in range(8)]


@given(
    st.permutations(ITEMS),
    st.dictionaries(st.sampled_from(ITEMS), st.integers(1, 5).map(float), min_size=1),
    st.integers(1, 8),
)
def test_ndcg_is_that_of_scikit_learn(ranked: list[str], gains: dict[str, float], k: int) -> None:
    scores = ranking_scores(ranked, gains, [k])
    truth = [[gains.get(item, 0.0) for item in ranked]]
    given_scores = [[float(-rank) for rank in range(len(ranked))]]
    assert scores[1] == pytest.approx(ndcg_score(truth, given_scores, k=k))


@given(
    st.lists(st.sampled_from(ITEMS), unique=True),
    st.dictionaries(st.sampled_from(ITEMS), st.floats(0.1, 5)),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
)
def test_rankings_are_scored_as_by_hand(
    ranked: list[str], gains: dict[str, float], cutoffs: list[int]
) -> None:
    assert ranking_scores(ranked, gains, cutoffs) == pytest.approx(ranking(ranked, gains, cutoffs))


def test_gains_are_above_zero() -> None:
    assert gains_of(["a", "b"]) == {"a": 1.0, "b": 1.0}
    assert gains_of({"a": 2, "b": 0, "c": -1}) == {"a": 2.0}


def rows_of(*actuals: Any) -> FeedbackRows:
    events = [Event({"prediction_id": "x", "timestamp": START, "actual": a}) for a in actuals]
    records = [Record(i, encode([e], batch=False)) for i, e in enumerate(events)]
    decoded = FeedbackIntake(settings_for(("fraud",))).decode(
        chunk_of("feedback", records), NEVER, 0
    )
    assert not decoded.rejected
    return decoded.rows


def layout(**model: Any) -> Layout:
    return layout_of(settings_of([{"model": "m", **model}]).models["m"])


def read(of: Layout, *actuals: Any) -> tuple[list[float | None], dict[int, Reason]]:
    truth = read_truth(of, rows_of(*actuals), np.arange(len(actuals)))
    values = [None if np.isnan(v) else v for v in truth.values.tolist()]
    return values, {i: reason for i, reason, _ in truth.refused}


@pytest.mark.parametrize("classes", [["0", "1"], [0, 1], [0.0, 1.0]])
def test_a_class_may_be_written_as_number_or_text(classes: list[Any]) -> None:
    of = layout(task="binary", classes=classes)
    values, refused = read(of, "1", 1, 1.0, 0, "0", True, "true", 2, 1.5, ["1"])
    assert values == [1, 1, 1, 0, 0, None, None, None, None, None]
    assert refused == dict.fromkeys(range(5, 9), Reason.UNKNOWN_CLASS) | {9: Reason.WRONG_TASK}


def test_true_and_false_are_classes_of_their_own() -> None:
    of = layout(task="binary", classes=[False, True])
    values, refused = read(of, True, "true", False, "false", 1, 0, "1")
    assert values == [1, 1, 0, 0, None, None, None]
    assert set(refused.values()) == {Reason.UNKNOWN_CLASS}


def test_a_class_may_be_any_number() -> None:
    of = layout(task="multiclass", classes=[0.5, -3, "x"])
    assert read(of, 0.5, "0.5", -3, -3.0, "-3", "x")[0] == [0, 0, 1, 1, 1, 2]


def test_a_regression_takes_numbers_alone() -> None:
    values, refused = read(layout(task="regression"), 1, -2.5, True, "3", ["1"])
    assert values == [1, -2.5, None, None, None]
    assert refused == dict.fromkeys((2, 3, 4), Reason.WRONG_TASK)


def test_a_ranking_takes_items_alone() -> None:
    _, refused = read(layout(task="ranking"), ["a"], [], {"a": 1.5}, 1, "a", True)
    assert refused == dict.fromkeys((3, 4, 5), Reason.WRONG_TASK)


def test_a_model_of_outcomes_takes_no_labels() -> None:
    of = layout(task="outcome", outcomes={"click": {}})
    assert set(read(of, 1, "a", ["a"])[1].values()) == {Reason.WRONG_TASK}
