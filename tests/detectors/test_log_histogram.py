"""The log histogram: accuracy, exact merging, taking back, storing."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from detectors.sketches import LogHistogram

numbers = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
columns = st.lists(numbers, min_size=1, max_size=60)
some = settings(max_examples=80, deadline=None)


def filled(*parts: ArrayLike, **options: int) -> LogHistogram:
    histogram = LogHistogram(**options)
    for part in parts:
        histogram.update_many(part)
    return histogram


@some
@given(columns, st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_a_quantile_is_within_one_per_cent_of_numpys(
    values: list[float], shares: list[float]
) -> None:
    found = filled(values).quantiles(shares)
    expected = np.quantile(values, shares, method="lower")
    assert found == pytest.approx(expected, rel=0.01 * (1 + 1e-9), abs=0)


@pytest.mark.parametrize("accuracy", [0.001, 0.01, 0.1])
def test_quantiles_of_large_columns_keep_the_stated_accuracy(accuracy: float) -> None:
    rng = np.random.default_rng(6)
    shares = np.linspace(0, 1, 101).tolist()
    for values in (rng.lognormal(0, 3, 20_000), rng.normal(0, 1, 20_000), rng.beta(0.1, 9, 20_000)):
        histogram = LogHistogram(accuracy, max_buckets=100_000)
        histogram.update_many(values)
        expected = np.quantile(values, shares, method="lower")
        assert histogram.quantiles(shares) == pytest.approx(expected, rel=accuracy * (1 + 1e-9))


@some
@given(columns, columns, columns, st.integers(2, 12))
def test_any_order_and_tree_of_merges_gives_the_same_bits(
    a: list[float], b: list[float], c: list[float], most: int
) -> None:
    whole = filled([*c, *a, *b], max_buckets=most)
    left = filled(a, max_buckets=most)
    left.merge(filled(b, max_buckets=most))
    left.merge(filled(c, max_buckets=most))
    right = filled(c, max_buckets=most)
    right.merge(filled(b, max_buckets=most))
    start = filled(a, max_buckets=most)
    start.merge(right)
    assert (
        whole.to_wire()
        == left.to_wire()
        == start.to_wire()
        == filled(a, b, c, max_buckets=most).to_wire()
    )
    assert whole.count == len(a) + len(b) + len(c)
    assert whole.buckets <= most


@some
@given(columns, columns)
def test_what_is_taken_back_was_never_there(a: list[float], b: list[float]) -> None:
    expected = filled(a).to_wire()
    by_weight = filled(a, b)
    by_weight.update_many(b, weights=[-1] * len(b))
    early = LogHistogram()
    early.update_many(b, weights=[-1] * len(b))
    early.merge(filled(b, a))
    by_histogram = filled(a, b)
    by_histogram.subtract(filled(b))
    assert by_weight.to_wire() == early.to_wire() == by_histogram.to_wire() == expected


@some
@given(st.lists(st.tuples(numbers, st.integers(1, 5)), min_size=1, max_size=30))
def test_a_weight_is_a_repetition(pairs: list[tuple[float, int]]) -> None:
    values, weights = map(list, zip(*pairs, strict=True))
    histogram = LogHistogram()
    histogram.update_many(values, weights)
    assert histogram.to_wire() == filled(np.repeat(values, weights)).to_wire()


@some
@given(columns)
def test_the_edges_enclose_all_values(values: list[float]) -> None:
    histogram = filled(values)
    slack = 1e-11
    low, high = histogram.lowest, histogram.highest
    assert low - slack * abs(low) <= min(values)
    assert max(values) <= high + slack * abs(high)


@some
@given(columns, st.integers(2, 8))
def test_collapsing_keeps_the_highest_values_accurate(values: list[float], most: int) -> None:
    histogram, exact = filled(values, max_buckets=most), filled(values)
    assert histogram.count == len(values)
    assert histogram.quantile(1.0) == exact.quantile(1.0)
    assert histogram.buckets == min(most, exact.buckets)


@some
@given(columns)
def test_storing_changes_nothing(values: list[float]) -> None:
    histogram = filled(values, max_buckets=40)
    for copy in (
        LogHistogram.restore(json.loads(json.dumps(histogram.snapshot()))),
        LogHistogram.from_wire(histogram.to_wire()),
    ):
        assert copy.snapshot() == histogram.snapshot()
        copy.update_many([1.0])
        other = filled(values, [1.0], max_buckets=40)
        assert copy.to_wire() == other.to_wire()


def test_an_empty_histogram_is_stored_too() -> None:
    assert LogHistogram.from_wire(LogHistogram().to_wire()).count == 0


def test_zero_and_subnormal_numbers_share_a_bucket() -> None:
    histogram = filled([0.0, -0.0, 5e-324, -1e-310])
    assert (histogram.buckets, histogram.quantile(0.5)) == (1, 0.0)
    assert (histogram.lowest, histogram.highest) == (0.0, 0.0)


def test_a_bucket_from_which_too_much_was_taken_counts_as_empty() -> None:
    histogram = filled([1.0, 2.0])
    histogram.update_many([500.0], weights=[-3])
    assert histogram.count == -1
    assert histogram.quantile(1.0) == pytest.approx(2.0, rel=0.01)


def test_an_empty_histogram_has_no_quantiles_and_no_edges() -> None:
    with pytest.raises(ValueError, match="empty histogram has no quantiles"):
        LogHistogram().quantile(0.5)
    with pytest.raises(ValueError, match="empty histogram has no edges"):
        _ = LogHistogram().lowest


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="value at index 1 is inf"):
        filled([1.0, float("inf")])
    with pytest.raises(ValueError, match="2 values need as many weights"):
        LogHistogram().update_many([1.0, 2.0], weights=[1])
    with pytest.raises(ValueError, match="weights must be whole numbers, got float64"):
        LogHistogram().update_many([1.0], weights=[0.5])
    with pytest.raises(ValueError, match=r"quantiles must be in \[0, 1\]"):
        filled([1.0]).quantile(1.5)
    with pytest.raises(ValueError, match="accuracies differ"):
        LogHistogram(0.01).merge(LogHistogram(0.02))
    with pytest.raises(ValueError, match="accuracy must be"):
        LogHistogram(0.0)


def test_damaged_states_are_refused_by_what_is_wrong() -> None:
    wire, state = filled([1.0, 2.0]).to_wire(), filled([1.0, 2.0]).snapshot()
    with pytest.raises(ValueError, match="lacks accuracy, keys"):
        LogHistogram.from_wire({"counts": b"", "max_buckets": b""})
    with pytest.raises(ValueError, match="one accuracy"):
        LogHistogram.from_wire({**wire, "accuracy": b""})
    with pytest.raises(ValueError, match="2 keys and 0 counts"):
        LogHistogram.from_wire({**wire, "counts": b""})
    with pytest.raises(ValueError, match="lacks 'counts'"):
        LogHistogram.restore({key: state[key] for key in state if key != "counts"})
    with pytest.raises(ValueError, match="must ascend"):
        LogHistogram.restore({**state, "keys": state["keys"][::-1]})
