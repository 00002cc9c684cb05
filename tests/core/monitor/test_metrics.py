"""Every metric against scikit-learn or numpy on the very rows."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from core.monitor.worlds import START, Row, World, cell_of, settings_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from streams.core.monitor.metrics.binary import binary, confusion_of
from streams.core.monitor.metrics.curves import average_precision, roc_auc
from streams.core.monitor.metrics.inputs import inputs
from streams.core.monitor.metrics.multiclass import matrix_by_name, multiclass, per_class
from streams.core.monitor.metrics.operation import label_delay, operation
from streams.core.monitor.metrics.outcomes import outcomes
from streams.core.monitor.metrics.ranking import ranking
from streams.core.monitor.metrics.regression import regression
from streams.core.partials import Cell
from streams.core.sums import Sums

EXACT = pytest.approx
BINARY = World(settings_of({"model": "m", "task": "binary", "classes": ["no", "yes"]}))
CLASSES = World(settings_of({"model": "m", "task": "multiclass", "classes": ["a", "b", "c", "d"]}))
NUMBERS = World(settings_of({"model": "m", "task": "regression"}))
RANKED = World(settings_of({"model": "m", "task": "ranking", "top_k": [5, 10]}))
SHOP = World(
    settings_of(
        {
            "model": "m",
            "task": "outcome",
            "outcomes": {
                "click": {"role": "click"},
                "buy": {"role": "conversion", "value": True},
            },
        }
    )
)
INPUTS = World(
    settings_of(
        {
            "model": "m",
            "task": "regression",
            "features": {
                "amount": {"kind": "numeric", "range": [0, None]},
                "age": {"kind": "numeric"},
                "country": {"kind": "categorical", "categories": ["DE", "FR"]},
                "plan": {"kind": "categorical"},
            },
        }
    )
)


def binary_rows(seed: int, n: int, *, weighted: bool = False) -> list[Row]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < rng.uniform(0.05, 0.6)
    scores = rng.beta(np.where(truth, 3, 1.5), 2)
    return [
        Row(
            START,
            score=float(s),
            predicted=float(s >= 0.5),
            actual=int(t),
            weight=float(rng.integers(1, 5)) / 2 if weighted else 1.0,
            arrival=START + 5_000,
        )
        for t, s in zip(truth, scores, strict=True)
    ]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 300), weighted=st.booleans())
def test_binary_metrics_are_those_of_scikit_learn(
    seed: int,
    n: int,
    weighted: bool,  # noqa: FBT001 - hypothesis passes it by name
) -> None:
    rows = binary_rows(seed, n, weighted=weighted)
    found = binary(cell_of(BINARY.quality(rows)), BINARY.layout)
    y = np.array([r.actual for r in rows])
    p = np.array([r.predicted for r in rows])
    s = np.array([r.score for r in rows])
    w = np.array([r.weight for r in rows])
    expected = {
        "accuracy": sk.accuracy_score(y, p, sample_weight=w),
        "brier": sk.brier_score_loss(y, s, sample_weight=w, pos_label=1),
        "log_loss": sk.log_loss(y, s, sample_weight=w, labels=[0, 1]),
        "positive_rate": np.average(y, weights=w),
    }
    if p.any():
        expected["precision"] = sk.precision_score(y, p, sample_weight=w)
    if y.any():
        expected["recall"] = sk.recall_score(y, p, sample_weight=w)
    if p.any() or y.any():
        expected["f1"] = sk.f1_score(y, p, sample_weight=w)
    if not y.all():
        expected["specificity"] = sk.recall_score(y, p, pos_label=0, sample_weight=w)
    for name, value in expected.items():
        assert found[name].value == EXACT(value, abs=1e-9), name
    computed = {n for n in found if n not in {"roc_auc", "average_precision", "calibration_error"}}
    assert computed == set(expected)
    if 0 < y.sum() < n:
        exact = sk.roc_auc_score(y, s, sample_weight=w)
        auc = found["roc_auc"]
        assert auc.error_bound is not None
        assert abs(auc.value - exact) <= auc.error_bound + 1e-9
        if auc.low is not None and auc.high is not None:
            assert auc.low <= exact <= auc.high
        precision = found["average_precision"]
        assert precision.error_bound is not None
        exact = sk.average_precision_score(y, s, sample_weight=w)
        assert abs(precision.value - exact) <= precision.error_bound + 1e-9


def test_calibration_error_is_the_expected_one_over_ten_ranges() -> None:
    rows = binary_rows(3, 1000)
    y = np.array([r.actual for r in rows])
    s = np.array([r.score for r in rows])
    ranges = np.minimum((s * 10).astype(int), 9)
    expected = sum(
        (ranges == r).mean() * abs(y[ranges == r].mean() - s[ranges == r].mean())
        for r in np.unique(ranges)
    )
    found = binary(cell_of(BINARY.quality(rows)), BINARY.layout)
    assert found["calibration_error"].value == EXACT(expected, abs=1e-9)


def test_confusion_is_named() -> None:
    rows = binary_rows(4, 200)
    y, p = [r.actual for r in rows], [r.predicted for r in rows]
    tn, fp, fn, tp = sk.confusion_matrix(y, p).ravel().tolist()
    found = confusion_of(cell_of(BINARY.quality(rows)))
    assert found == {"tp": tp, "fp": fp, "tn": tn, "fn": fn}


histograms = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12).map(
    lambda pairs: np.array(pairs, dtype=float).T
)


@given(counts=histograms, seed=st.integers(0, 1000))
def test_no_order_inside_bins_takes_the_curves_beyond_their_bounds(
    counts: np.ndarray, seed: int
) -> None:
    negatives, positives = counts
    rng = np.random.default_rng(seed)
    y, binned, scores = [], [], []
    for index, (n, p) in enumerate(zip(negatives.astype(int), positives.astype(int), strict=True)):
        y += [0] * n + [1] * p
        binned += [index] * (n + p)
        scores += (index + rng.integers(0, 5, n + p) / 5).tolist()
    auc, precision = roc_auc(negatives, positives), average_precision(negatives, positives)
    if positives.sum() and negatives.sum():
        assert auc is not None
        assert auc.value == EXACT(sk.roc_auc_score(y, binned), abs=1e-12)
        assert abs(auc.value - sk.roc_auc_score(y, scores)) <= auc.bound + 1e-12
    else:
        assert auc is None
    if positives.sum():
        assert precision is not None
        assert precision.value == EXACT(sk.average_precision_score(y, binned), abs=1e-12)
        exact = sk.average_precision_score(y, scores)
        assert abs(precision.value - exact) <= precision.bound + 1e-12
    else:
        assert precision is None


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 200))
def test_multiclass_metrics_are_those_of_scikit_learn(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet([1.0, 1.0, 0.3, 0.1], n)
    truth = np.array(
        [rng.choice(4, p=0.3 * np.array([0.5, 0.4, 0.1, 0]) + 0.7 * s) for s in scores]
    )
    called = scores.argmax(axis=1)
    weights = rng.integers(1, 4, n).astype(float)
    rows = [
        Row(START, score=s, predicted=float(c), actual=int(t), weight=w, arrival=START + 1000)
        for s, c, t, w in zip(scores, called, truth, weights.tolist(), strict=True)
    ]
    cell = cell_of(CLASSES.quality(rows))
    classes = per_class(cell, CLASSES.layout)
    found = multiclass(cell, CLASSES.layout, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options: dict[str, Any] = {"sample_weight": weights, "zero_division": np.nan}
        for name, score in [
            ("precision", sk.precision_score),
            ("recall", sk.recall_score),
            ("f1", sk.f1_score),
        ]:
            for average in ("macro", "weighted"):
                expected = score(truth, called, average=average, **options)
                averaged = found.get(f"{name}_{average}")
                if averaged is None:
                    assert np.isnan(expected)
                else:
                    assert averaged.value == EXACT(expected, abs=1e-9)
            each = score(truth, called, average=None, labels=range(4), **options)
            for index, letter in enumerate("abcd"):
                value = classes.get(letter, {}).get(name)
                if value is None:
                    assert np.isnan(each[index])
                else:
                    assert value.value == EXACT(each[index], abs=1e-9)
    assert found["accuracy"].value == EXACT(sk.accuracy_score(truth, called, sample_weight=weights))
    loss = sk.log_loss(truth, scores, sample_weight=weights, labels=range(4))
    assert found["log_loss"].value == EXACT(loss, abs=1e-9)
    areas = []
    for c in range(4):
        is_c = truth == c
        if 0 < is_c.sum() < n:
            exact = sk.roc_auc_score(is_c, scores[:, c], sample_weight=weights)
            area = classes["abcd"[c]]["roc_auc"]
            assert abs(area.value - exact) <= area.error_bound + 1e-9
            areas.append(exact)
    if areas:
        overall = found["roc_auc_ovr"]
        assert abs(overall.value - np.mean(areas)) <= overall.error_bound + 1e-9
    matrix = sk.confusion_matrix(truth, called, labels=range(4), sample_weight=weights)
    named = matrix_by_name(cell, CLASSES.layout)
    assert named is not None
    for i, actual in enumerate("abcd"):
        for j, predicted in enumerate("abcd"):
            assert named.get(actual, {}).get(predicted, 0.0) == EXACT(matrix[i, j])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 300))
def test_regression_metrics_are_those_of_scikit_learn(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(50, 20, n) * (rng.random(n) > 0.1)
    p = y + rng.normal(1, 5, n)
    w = rng.integers(1, 4, n).astype(float)
    rows = [
        Row(START, predicted=a, actual=b, weight=c, arrival=START + 1000)
        for a, b, c in zip(p.tolist(), y.tolist(), w.tolist(), strict=True)
    ]
    found = regression(cell_of(NUMBERS.quality(rows)))
    some = y != 0
    expected = {
        "me": np.average(p - y, weights=w),
        "mae": sk.mean_absolute_error(y, p, sample_weight=w),
        "rmse": sk.root_mean_squared_error(y, p, sample_weight=w),
        "r2": sk.r2_score(y, p, sample_weight=w),
        "mape": sk.mean_absolute_percentage_error(y[some], p[some], sample_weight=w[some])
        if some.any()
        else None,
    }
    for name, value in expected.items():
        if value is not None and np.ptp(y):
            assert found[name].value == EXACT(value, rel=1e-9, abs=1e-9), name
    assert found["me"].low <= found["me"].value <= found["me"].high
    repeated = np.repeat(p - y, w.astype(int))
    for name, quantile in [("error_p05", 0.05), ("error_p50", 0.5), ("error_p95", 0.95)]:
        exact = np.quantile(repeated, quantile, method="inverted_cdf")
        assert found[name].value == EXACT(exact, rel=0.0101)
    exact = np.quantile(abs(repeated), 0.95, method="inverted_cdf")
    assert found["absolute_error_p95"].value == EXACT(exact, rel=0.0101)


def test_r2_is_absent_where_the_truth_does_not_vary() -> None:
    rows = [Row(START, predicted=p, actual=0.1, arrival=START) for p in (1.0, 2.0, 3.0)]
    assert "r2" not in regression(cell_of(NUMBERS.quality(rows)))


def test_ranking_metrics_are_means_over_rankings() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random((50, 7)).round(1)
    truth[:, [2, 5]] = truth[:, [2, 5]] > 0.4
    rows = [Row(START, actual=t, arrival=START + 1000) for t in truth.tolist()]
    found = ranking(cell_of(RANKED.quality(rows)), RANKED.layout)
    names = ["mrr", "ndcg_at_5", "hit_rate_at_5", "map_at_5", "ndcg_at_10", "hit_rate_at_10"]
    assert list(found) == [*names, "map_at_10"]
    for name, mean in zip(found, truth.mean(axis=0), strict=True):
        assert found[name].value == EXACT(mean, abs=1e-9)
    assert found["hit_rate_at_5"].low < found["hit_rate_at_5"].value < found["hit_rate_at_5"].high


def test_outcome_rates_are_shares_of_the_predictions() -> None:
    events = [[("click", 0.0), ("click", 0.0)], [("click", 0.0), ("buy", 12.5)], [("buy", 7.5)]]
    rows = [Row(START, events=e, arrival=START + 1000) for e in events]
    cell = cell_of(SHOP.quality(rows))
    found = outcomes(cell, SHOP.config.outcomes, 10)
    assert {name: value.value for name, value in found.items()} == {
        "ctr": 0.2,
        "cvr": 0.2,
        "value_total": 20.0,
        "value_per_prediction": 2.0,
    }
    assert list(outcomes(cell, SHOP.config.outcomes, None)) == ["value_total"]


def test_operation_counts_rates_and_latency() -> None:
    rng = np.random.default_rng(5)
    latencies = rng.lognormal(3, 1, 500)
    rows = [
        Row(START, latency=v, error=i % 10 == 0, user=f"u{i % 40}", arrival=START + 1000 * i)
        for i, v in enumerate(latencies.tolist())
    ]
    found = operation(cell_of(NUMBERS.traffic(rows)), 60_000)
    assert found["predictions"].value == 500
    assert found["predictions_per_second"].value == EXACT(500 / 60)
    assert found["error_share"].value == EXACT(0.1)
    for name, quantile in [("latency_p50", 0.5), ("latency_p95", 0.95), ("latency_p99", 0.99)]:
        exact = np.quantile(latencies, quantile, method="inverted_cdf")
        assert found[name].value == EXACT(exact, rel=0.0101)
    assert found["distinct_users"].value == EXACT(40, rel=0.05)
    delays = np.arange(1, 500)
    rows = [Row(START, actual=1.0, arrival=START + 1000 * int(d)) for d in delays]
    found = label_delay(cell_of(NUMBERS.quality(rows)))
    for name, quantile in [("label_delay_p50", 0.5), ("label_delay_p99", 0.99)]:
        exact = np.quantile(delays, quantile, method="inverted_cdf")
        assert found[name].value == EXACT(exact, rel=0.0101)


def test_inputs_are_described_feature_by_feature() -> None:
    rng = np.random.default_rng(6)
    amounts, ages = rng.normal(20, 15, 400), rng.normal(-5, 3, 400)
    plans = rng.choice(["free", "pro", "team"], 400, p=[0.6, 0.3, 0.1])
    rows = [
        Row(
            START,
            numeric={"amount": a, "age": None if i % 4 == 0 else b},
            categorical={"country": ["DE", "FR", "XX", None][i % 4], "plan": str(plan)},
        )
        for i, (a, b, plan) in enumerate(zip(amounts.tolist(), ages.tolist(), plans, strict=True))
    ]
    found = inputs(cell_of(INPUTS.inputs(rows)), INPUTS.layout)
    amount, age, country, plan = (found[n] for n in ("amount", "age", "country", "plan"))
    assert amount.mean == EXACT(amounts.mean())
    assert amount.variance == EXACT(amounts.var(ddof=1))
    assert amount.range_violation_rate == EXACT((amounts < 0).mean())
    assert age.range_violation_rate is None
    assert age.missing_rate == 0.25
    present = ages[np.arange(400) % 4 != 0]
    for name, quantile in [
        ("p05", 0.05),
        ("p25", 0.25),
        ("p50", 0.5),
        ("p75", 0.75),
        ("p95", 0.95),
    ]:
        for summary, column in [(amount, amounts), (age, present)]:
            exact = np.quantile(column, quantile, method="inverted_cdf")
            assert getattr(summary, name) == EXACT(exact, rel=0.0101)
    assert country.missing_rate == 0.25
    assert country.category_violation_rate == EXACT(1 / 3)
    assert plan.category_violation_rate is None
    assert plan.cardinality == EXACT(3, rel=0.01)
    counts = {str(v): int(c) for v, c in zip(*np.unique(plans, return_counts=True), strict=True)}
    assert plan.frequent is not None
    assert [(f.value, f.count) for f in plan.frequent] == sorted(
        counts.items(), key=lambda pair: -pair[1]
    )


TAKEN_BACK = [
    (BINARY, {"score": 0.3, "predicted": 1.0, "actual": 1}, lambda c: binary(c, BINARY.layout)),
    (
        CLASSES,
        {"score": [0.1, 0.2, 0.3, 0.4], "predicted": 1.0, "actual": 1},
        lambda c: multiclass(c, CLASSES.layout, per_class(c, CLASSES.layout)),
    ),
    (NUMBERS, {"predicted": 1.0, "actual": 3.0}, regression),
    (RANKED, {"actual": [0.1] * 7}, lambda c: ranking(c, RANKED.layout)),
]


@pytest.mark.parametrize(("world", "values", "measure"), TAKEN_BACK)
def test_truth_that_was_taken_back_leaves_nothing_to_measure(
    world: World, values: dict[str, Any], measure: Callable[[Cell], dict[str, Any]]
) -> None:
    row = Row(START, weight=0.1, arrival=START + 1000, **values)
    cell = cell_of(world.quality([row, row, row]))
    assert measure(cell)
    for _ in range(3):
        back = cell_of(world.quality([row]))
        cell.merge(
            Cell(
                dense={name: -values for name, values in back.dense.items()},
                sparse={n: Sums(s.at, -s.amounts) for n, s in back.sparse.items()},
                moments={f"{name}_removed": values for name, values in back.moments.items()},
            )
        )
    assert measure(cell) == {}
