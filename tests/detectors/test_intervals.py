"""Intervals, against scipy and by how often they cover the truth."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from detectors.intervals import Interval, auc_interval, mean_interval, rate_interval, wilson

levels = st.floats(0.01, 0.999)
few = settings(max_examples=100, deadline=None)


@few
@given(st.integers(1, 5000), st.floats(0, 1), levels)
def test_wilson_is_scipys(n: int, share: float, level: float) -> None:
    successes = round(share * n)
    expected = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    found = wilson(successes, n, level)
    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)
    assert found.level == level


def test_wilson_without_items_says_nothing() -> None:
    found = wilson(0, 0)
    assert (found.low, found.high) == (0.0, 1.0)


@few
@given(st.integers(1, 10**7))
def test_wilson_at_the_ends_touches_them(n: int) -> None:
    assert wilson(0, n).low == 0.0
    assert wilson(n, n).high == 1.0


@few
@given(st.integers(2, 10**6), st.floats(-1e6, 1e6), st.floats(0, 1e6), levels)
def test_a_mean_interval_is_scipys_normal_one(
    n: int, mean: float, variance: float, level: float
) -> None:
    found = mean_interval(n, mean, variance, level)
    half = stats.norm.ppf(0.5 + level / 2) * np.sqrt(variance / n)
    assert found.low == pytest.approx(mean - half)
    assert found.high == pytest.approx(mean + half)


def test_an_auc_interval_covers_the_truth_about_as_often_as_stated() -> None:
    rng = np.random.default_rng(2)
    truth = stats.norm.cdf(1 / np.sqrt(2))
    covered = 0
    for _ in range(400):
        labels = np.repeat([1, 0], [80, 240])
        scores = rng.normal(labels, 1)
        found = auc_interval(roc_auc_score(labels, scores), 80, 240)
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / 400 <= 0.99


def test_an_auc_interval_is_the_published_example() -> None:
    # Hanley and McNeil's table II: 51 abnormal and 58 normal images, area 0.893, deviation 0.032.
    found = auc_interval(0.893, 51, 58, level=0.6826895)
    assert (found.high - found.low) / 2 == pytest.approx(0.032, abs=0.001)


@few
@given(st.floats(0, 1), st.integers(1, 1000), st.integers(1, 1000))
def test_an_auc_interval_contains_the_area_and_stays_inside_one(
    auc: float, positives: int, negatives: int
) -> None:
    found = auc_interval(auc, positives, negatives)
    assert 0 <= found.low <= auc <= found.high <= 1


@few
@given(st.integers(0, 3000), st.floats(0.01, 1e6), levels)
def test_a_rate_interval_has_the_stated_tails(events: int, exposure: float, level: float) -> None:
    found = rate_interval(events, exposure, level)
    tail = (1 - level) / 2
    assert stats.poisson.cdf(events, found.high * exposure) == pytest.approx(tail, abs=1e-8)
    if events:
        assert stats.poisson.sf(events - 1, found.low * exposure) == pytest.approx(tail, abs=1e-8)
    else:
        assert found.low == 0.0


def test_a_higher_level_is_wider() -> None:
    makers: list[Callable[[float], Interval]] = [
        lambda level: wilson(3, 40, level),
        lambda level: mean_interval(40, 1.0, 2.0, level),
        lambda level: auc_interval(0.7, 40, 60, level),
        lambda level: rate_interval(4, 10.0, level),
    ]
    for make in makers:
        narrow, wide = make(0.8), make(0.99)
        assert wide.low < narrow.low < narrow.high < wide.high


def test_arguments_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match="successes must be from 0 to n, got 5 of 4"):
        wilson(5, 4)
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\), got 95"):
        wilson(1, 4, 95)
    with pytest.raises(ValueError, match="n must be at least 2, got 1"):
        mean_interval(1, 0.0, 1.0)
    with pytest.raises(ValueError, match="variance must be at least 0"):
        mean_interval(5, 0.0, float("nan"))
    with pytest.raises(ValueError, match=r"auc must be in \[0, 1\]"):
        auc_interval(1.2, 5, 5)
    with pytest.raises(ValueError, match="positives and negatives"):
        auc_interval(0.5, 0, 5)
    with pytest.raises(ValueError, match="events must be at least 0"):
        rate_interval(-1, 5.0)
    with pytest.raises(ValueError, match="exposure must be positive"):
        rate_interval(1, 0.0)
