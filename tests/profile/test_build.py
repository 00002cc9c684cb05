"""A profile's edges are quantiles, its counts are exact, and it stays small."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streams.config.model import ModelConfig
from streams.core.bins import Bins
from streams.profile.build import ProfileBuilder, quantile_edges
from streams.profile.model import (
    CategoricalReference,
    NumericReference,
    ProfileError,
    ReferenceProfile,
)
from streams.profile.rows import ReferenceRows, Texts

RNG = np.random.default_rng(7)
NOW = "2026-11-20T10:00:00.000Z"


def config(**more: Any) -> ModelConfig:
    base: dict[str, Any] = {
        "model": "fraud",
        "task": "binary",
        "classes": ["no", "yes"],
        "features": {"amount": {"kind": "numeric"}, "country": {"kind": "categorical"}},
    }
    return ModelConfig.model_validate(base | more)


def texts(values: list[str | None]) -> Texts:
    known = sorted({value for value in values if value is not None})
    return Texts(
        known, np.array([-1 if v is None else known.index(v) for v in values], dtype=np.int32)
    )


def built(model: ModelConfig, pieces: list[ReferenceRows], **more: Any) -> ReferenceProfile:
    builder = ProfileBuilder(model)
    for piece in pieces:
        builder.learn(piece)
    builder.settle()
    for piece in pieces:
        builder.count(piece)
    return builder.finish(NOW, **more)


def rows(amount: np.ndarray[Any, Any], **more: Any) -> ReferenceRows:
    country = more.pop("country", None) or texts(["DE"] * len(amount))
    return ReferenceRows(len(amount), {"amount": amount}, {"country": country}, **more)


def amount_of(profile: ReferenceProfile) -> NumericReference:
    found = profile.features["amount"]
    assert isinstance(found, NumericReference)
    return found


def country_of(profile: ReferenceProfile) -> CategoricalReference:
    found = profile.features["country"]
    assert isinstance(found, CategoricalReference)
    return found


def test_edges_are_quantiles_within_the_error_of_the_sketch() -> None:
    values = RNG.lognormal(size=100_000)
    reference = amount_of(built(config(), [rows(piece) for piece in np.split(values, 8)]))
    assert len(reference.edges) == 63
    ranks = np.searchsorted(np.sort(values), reference.edges) / len(values)
    assert np.abs(ranks - np.arange(1, 64) / 64).max() < 0.005


@settings(max_examples=40)
@given(
    hnp.arrays(
        np.float64,
        st.integers(1, 300),
        elements=st.sampled_from([0.0, 1.0, 2.5, -7.0]) | st.floats(-1e9, 1e9) | st.just(np.nan),
    ),
    st.integers(2, 70),
)
def test_counts_are_exactly_those_of_the_bins_that_count_in_production(
    values: np.ndarray[Any, Any], bins: int
) -> None:
    half = len(values) // 2
    pieces = [rows(values[:half]), rows(values[half:])]
    profile = built(config(drift={"bins": bins}), pieces)
    present = values[~np.isnan(values)]
    if not len(present):
        assert "amount" not in profile.features
        return
    reference = amount_of(profile)
    counted = np.bincount(Bins(reference.edges).assign(present), minlength=len(reference.edges) + 1)
    assert reference.counts == tuple(counted.tolist())
    assert (reference.n, reference.missing) == (len(present), len(values) - len(present))
    assert len(reference.edges) < bins
    assert reference.mean == pytest.approx(present.mean(), abs=1e-6)
    assert reference.variance == pytest.approx(present.var(), rel=1e-6, abs=1e-6)
    assert (reference.minimum, reference.maximum) == (present.min(), present.max())


def test_a_value_that_fills_several_bins_has_one_of_its_own() -> None:
    values = np.concatenate([np.zeros(900), RNG.uniform(1, 2, 100)])
    reference = amount_of(built(config(), [rows(values)]))
    assert reference.counts[0] == 0
    assert reference.counts[1] == 900
    assert reference.edges[:2] == (0.0, np.nextafter(0.0, 1.0))


def test_a_constant_has_bins_below_at_and_above() -> None:
    reference = amount_of(built(config(), [rows(np.full(50, 3.0))]))
    assert reference.counts == (0, 50, 0)


def test_edges_ascend_strictly_whatever_the_quantiles() -> None:
    edges = quantile_edges(np.array([-np.finfo(float).max, 0.1, 0.1 + 1e-17, 0.1 + 1e-12, 5.0]))
    assert (np.diff(edges) > 0).all()


def test_categories_are_counted_exactly_and_the_rare_ones_together() -> None:
    values = [f"c{i}" for i in range(300) for _ in range(300 - i)]
    shuffled = [values[i] for i in RNG.permutation(len(values))]
    half = len(values) // 2
    pieces = [
        rows(np.zeros(half), country=texts(shuffled[:half])),
        rows(np.zeros(len(values) - half), country=texts(shuffled[half:])),
    ]
    reference = country_of(built(config(), pieces))
    assert reference.categories == tuple(f"c{i}" for i in range(200))
    assert reference.counts == tuple(300 - i for i in range(200))
    assert reference.other == sum(300 - i for i in range(200, 300))
    assert reference.n == len(values)
    assert reference.distinct == pytest.approx(300, rel=0.05)


def test_missing_categories_are_counted_apart() -> None:
    reference = country_of(
        built(config(), [rows(np.zeros(4), country=texts(["DE", None, None, "FR"]))])
    )
    assert (reference.n, reference.missing, reference.categories) == (2, 2, ("DE", "FR"))


def test_classes_stay_in_configured_order_and_scores_have_many_bins() -> None:
    scores = RNG.uniform(size=20_000)
    piece = rows(
        np.zeros(20_000),
        predicted=(scores > 0.3).astype(float),
        actual=np.where(np.arange(20_000) % 10, 0.0, np.nan),
        score=scores,
    )
    profile = built(config(), [piece])
    assert isinstance(profile.prediction, CategoricalReference)
    assert profile.prediction.categories == ("no", "yes")
    assert profile.prediction.counts == ((scores <= 0.3).sum(), (scores > 0.3).sum())
    assert isinstance(profile.label, CategoricalReference)
    assert (profile.label.counts, profile.label.missing) == ((18_000, 0), 2_000)
    assert profile.score is not None
    assert len(profile.score.counts) == 256


def test_a_regression_has_bins_of_predictions_and_truth_and_no_score() -> None:
    model = config(task="regression", classes=[])
    profile = built(
        model, [rows(np.zeros(500), predicted=RNG.normal(size=500), actual=RNG.normal(size=500))]
    )
    assert isinstance(profile.prediction, NumericReference)
    assert sum(profile.prediction.counts) == 500
    assert isinstance(profile.label, NumericReference)
    assert profile.score is None


def test_a_profile_of_twenty_features_is_smaller_than_64_kilobytes(tmp_path: Path) -> None:
    names = [f"feature_number_{i}" for i in range(20)]
    model = config(features={name: {"kind": "numeric"} for name in names})
    n = 10_000
    score = RNG.beta(0.5, 2, size=n)
    piece = ReferenceRows(
        n, {name: RNG.normal(size=n) * 1e5 for name in names}, score=score, actual=np.zeros(n)
    )
    profile = built(model, [piece], source="train.parquet", metrics={"roc_auc": 0.9})
    profile.write(tmp_path / "p.json")
    assert (tmp_path / "p.json").stat().st_size < 64_000
    assert ReferenceProfile.read(tmp_path / "p.json") == profile


def test_no_rows_are_refused() -> None:
    with pytest.raises(ProfileError, match="no rows"):
        built(config(), [])
