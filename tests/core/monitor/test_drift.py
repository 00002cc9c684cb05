"""Distances of windows to a reference, against distances of the very rows."""

from typing import Any

import numpy as np
import pytest
from core.monitor.worlds import START, Row, World, cell_of, settings_of
from scipy import stats

from detectors.distances import jensen_shannon, psi
from streams.core.monitor.drift import DriftMeter
from streams.profile.model import CategoricalReference, NumericReference, ReferenceProfile

RNG = np.random.default_rng(11)
AMOUNTS = RNG.lognormal(3, 0.5, 20_000)
SCORES = RNG.beta(2, 5, 20_000)
PLANS = ["free", "pro", "team", *(f"rare{i}" for i in range(20))]
SHARES = np.array([0.5, 0.3, 0.18, *[0.001] * 20])
PLAN_COUNTS = RNG.multinomial(20_000, SHARES / SHARES.sum())


def numeric(values: np.ndarray, bins: int) -> NumericReference:
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return NumericReference(
        n=len(values),
        missing=0,
        mean=values.mean(),
        variance=values.var(),
        minimum=values.min(),
        maximum=values.max(),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
    )


def named(categories: list[str], counts: list[int], other: int = 0) -> CategoricalReference:
    return CategoricalReference(
        n=sum(counts) + other,
        missing=0,
        categories=tuple(categories),
        counts=tuple(counts),
        other=other,
    )


REFERENCE = ReferenceProfile(
    version=1,
    model="m",
    created="2026-01-01T00:00:00.000Z",
    rows=20_000,
    features={
        "amount": numeric(AMOUNTS, 64),
        "plan": named(PLANS, PLAN_COUNTS.tolist(), other=100),
        "country": named(["FR", "XX", "DE"], [700, 10, 300]),
    },
    prediction=named(["no", "yes"], [15_000, 5_000]),
    score=numeric(SCORES, 256),
    label=named(["yes", "no"], [6_000, 14_000]),
)
MODEL: dict[str, Any] = {
    "model": "m",
    "task": "binary",
    "classes": ["no", "yes"],
    "reference": "m.json",
    "features": {
        "amount": {"kind": "numeric"},
        "age": {"kind": "numeric"},
        "plan": {"kind": "categorical"},
        "country": {"kind": "categorical", "categories": ["DE", "FR"]},
    },
    "windows": [{"size": 60_000}, {"size": 300_000, "hop": 60_000}],
    "drift": {
        "distances": [
            "psi",
            "jensen_shannon",
            "kolmogorov_smirnov",
            "wasserstein",
            "chi_square",
            "hellinger",
        ]
    },
}


def world(model: dict[str, Any] = MODEL, reference: ReferenceProfile | None = REFERENCE) -> World:
    return World(settings_of(model, reference=reference))


def rows_of(n: int, shift: float = 0.0, seed: int = 1) -> list[Row]:
    rng = np.random.default_rng(seed)
    plans = rng.choice(PLANS, n, p=SHARES / SHARES.sum())
    return [
        Row(
            START,
            score=float(score),
            predicted=float(score > 0.4),
            numeric={"amount": float(amount * (1 + shift))},
            categorical={"plan": str(plan), "country": str(country)},
            actual=int(rng.random() < 0.3),
            arrival=START,
        )
        for score, amount, plan, country in zip(
            rng.beta(2, 5, n),
            rng.lognormal(3, 0.5, n),
            plans,
            rng.choice(["DE", "FR", "IT"], n, p=[0.3, 0.6, 0.1]),
            strict=True,
        )
    ]


def measure(of: World, rows: list[Row]) -> dict[str, dict[str, Any]]:
    meter = DriftMeter(of.model, of.layout)
    return meter.measure(
        {
            "traffic": cell_of(of.traffic(rows)),
            "inputs": cell_of(of.inputs(rows)),
            "quality": cell_of(of.quality(rows)),
        }
    )


def test_every_column_with_a_reference_is_compared() -> None:
    found = measure(world(), rows_of(500))
    assert set(found) == {
        "feature:amount",
        "feature:plan",
        "feature:country",
        "prediction",
        "score",
        "label",
    }
    assert set(found["feature:amount"]) == set(MODEL["drift"]["distances"])
    ordered = {"kolmogorov_smirnov", "wasserstein"}
    assert set(found["feature:plan"]) == set(MODEL["drift"]["distances"]) - ordered


def test_ordered_distances_are_those_of_the_rows_up_to_a_bin() -> None:
    rows = rows_of(2_000, shift=0.2)
    found = measure(world(), rows)["feature:amount"]
    amounts = np.array([row.numeric["amount"] for row in rows])
    exact = stats.ks_2samp(AMOUNTS, amounts).statistic
    assert found["kolmogorov_smirnov"].value == pytest.approx(exact, abs=1 / 64)
    moved = stats.wasserstein_distance(AMOUNTS, amounts) / AMOUNTS.std()
    assert found["wasserstein"].value == pytest.approx(moved, abs=0.05)
    assert found["kolmogorov_smirnov"].n == 2_000


def test_without_drift_the_index_is_small_however_few_the_rows_and_many_the_bins() -> None:
    largest = [
        max(
            distances["psi"].value
            for name, distances in measure(world(), rows_of(200, seed=seed)).items()
            if name != "feature:country"
        )
        for seed in range(20)
    ]
    assert max(largest) < 0.2


def test_categories_are_matched_by_name_and_rare_ones_counted_together() -> None:
    rows = rows_of(1_000)
    found = measure(world(), rows)
    countries = [row.categorical["country"] for row in rows]
    current = [countries.count("DE"), countries.count("FR"), countries.count("IT")]
    exact = psi([300, 700, 10], current)
    assert found["feature:country"]["psi"].value == pytest.approx(exact.value)
    assert found["feature:country"]["psi"].p_value == pytest.approx(exact.p_value)
    plans = [row.categorical["plan"] for row in rows]
    usual = [plans.count(plan) for plan in PLANS[:3]]
    exact = jensen_shannon(
        [*PLAN_COUNTS[:3].tolist(), 20_100 - int(PLAN_COUNTS[:3].sum())],
        [*usual, 1_000 - sum(usual)],
    )
    assert found["feature:plan"]["jensen_shannon"].value == pytest.approx(exact.value)


def test_classes_are_compared_in_the_models_order() -> None:
    rows = rows_of(1_000)
    found = measure(world(), rows)
    positive = sum(row.actual for row in rows)
    exact = psi([14_000, 6_000], [1_000 - positive, positive])
    assert found["label"]["psi"].value == pytest.approx(exact.value)
    called = sum(row.predicted for row in rows)
    exact = psi([15_000, 5_000], [1_000 - called, called])
    assert found["prediction"]["psi"].value == pytest.approx(exact.value)


def test_a_shift_shows_in_its_column_alone() -> None:
    found = measure(world(), rows_of(2_000, shift=0.5))
    assert found["feature:amount"]["psi"].value > 0.25
    assert found["feature:amount"]["psi"].p_value < 1e-6
    others = [
        d["psi"].value
        for name, d in found.items()
        if name not in {"feature:amount", "feature:country"}
    ]
    assert max(others) < 0.05


def test_too_few_rows_are_not_compared() -> None:
    assert measure(world(), rows_of(199)) == {}


def test_windows_of_the_chosen_size_are_compared_or_of_the_largest() -> None:
    of = world()
    meter = DriftMeter(of.model, of.layout)
    assert [meter.measures(size) for size in (60_000, 300_000)] == [False, True]
    of = world({**MODEL, "drift": {"window": 60_000}})
    meter = DriftMeter(of.model, of.layout)
    assert [meter.measures(size) for size in (60_000, 300_000)] == [True, False]


def test_without_a_reference_nothing_is_compared() -> None:
    of = world({**MODEL, "reference": None}, None)
    assert not DriftMeter(of.model, of.layout).measures(300_000)


def test_numbers_are_compared_in_the_references_bins() -> None:
    reference = ReferenceProfile(
        version=1,
        model="m",
        created="",
        rows=20_000,
        prediction=numeric(AMOUNTS, 64),
        label=numeric(AMOUNTS * 0 + np.arange(20_000) % 2, 64),
    )
    model = {
        "model": "m",
        "task": "regression",
        "reference": "m.json",
        "windows": [{"size": 60_000}],
        "drift": {"distances": ["kolmogorov_smirnov", "wasserstein"]},
    }
    of = world(model, reference)
    rng = np.random.default_rng(2)
    rows = [
        Row(START, predicted=float(p), actual=float(a), arrival=START)
        for p, a in zip(rng.lognormal(3.2, 0.5, 1_000), rng.integers(0, 2, 1_000), strict=True)
    ]
    found = measure(of, rows)
    exact = stats.ks_2samp(AMOUNTS, [row.predicted for row in rows]).statistic
    assert found["prediction"]["kolmogorov_smirnov"].value == pytest.approx(exact, abs=1 / 64)
    exact = stats.ks_2samp(np.arange(20_000) % 2, [row.actual for row in rows]).statistic
    assert found["label"]["kolmogorov_smirnov"].value == pytest.approx(exact, abs=1e-9)
