"""Moments and the wrapped sketches of Apache DataSketches."""

import numpy as np
import pytest
from datasketches import hll_sketch
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sketches import KLL, FrequentItems, HyperLogLog, Moments
from detectors.sketches.wire import ByteSketch

columns = st.lists(st.floats(-1e6, 1e6), max_size=40)
some = settings(max_examples=60, deadline=None)


@some
@given(columns, columns)
def test_merged_moments_are_those_of_all_values(a: list[float], b: list[float]) -> None:
    merged = Moments.of(a).merge(Moments.of(b))
    assert merged.n == len(a) + len(b)
    if merged.n:
        assert merged.mean == pytest.approx(np.mean(a + b), rel=1e-9, abs=1e-6)
    if merged.n > 1:
        assert merged.variance == pytest.approx(np.var(a + b, ddof=1), rel=1e-6, abs=1e-6)
    assert Moments.restore(merged.snapshot()) == merged


def test_moments_do_not_cancel_when_the_mean_is_far_above_the_deviation() -> None:
    values = np.random.default_rng(0).normal(0, 1, 10_000)
    parts = [Moments.of(part + 1e9) for part in np.array_split(values, 30)]
    merged = Moments()
    for part in parts:
        merged = merged.merge(part)
    assert merged.variance == pytest.approx(np.var(values, ddof=1), rel=1e-6)


def test_masked_values_may_be_anything_and_others_must_be_finite() -> None:
    assert Moments.of([np.nan, 2.0, np.inf], mask=[False, True, False]) == Moments(1, 2.0, 0.0)
    assert Moments.of([1.0], mask=[False]) == Moments()
    with pytest.raises(ValueError, match="not finite"):
        Moments.of([1.0, np.nan])


def test_moments_of_fewer_than_two_items_have_no_variance() -> None:
    assert Moments().variance == Moments.of([4.0]).variance == 0.0


def test_a_moments_state_that_lacks_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks 'm2'"):
        Moments.restore({"n": 1, "mean": 2.0})


def test_kll_quantiles_keep_the_stated_rank_error_also_after_merging() -> None:
    rng = np.random.default_rng(3)
    values = rng.lognormal(0, 2, 60_000)
    sketch = KLL()
    for part in np.array_split(values, 6):
        other = KLL()
        other.update_many(part)
        sketch.merge(other)
    assert sketch.n == values.size
    shares = np.linspace(0.05, 0.95, 19)
    ranks = np.array([(values <= each).mean() for each in sketch.quantiles(shares.tolist())])
    # Twice the 99 % bound: nineteen ranks of a randomised sketch.
    assert np.abs(ranks - shares).max() <= 2 * sketch.rank_error
    points = np.quantile(values, shares).tolist()
    assert np.abs(np.array(sketch.cdf(points)) - shares).max() <= 2 * sketch.rank_error


@some
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200, unique=True))
def test_kll_is_exact_on_few_items(values: list[float]) -> None:
    sketch = KLL()
    sketch.update_many(values)
    ordered = sorted(values)
    assert sketch.quantiles([0.0, 1.0]) == [ordered[0], ordered[-1]]
    assert sketch.cdf([ordered[len(values) // 2]]) == [
        pytest.approx((len(values) // 2 + 1) / len(values))
    ]


def test_kll_refuses_what_has_no_rank() -> None:
    with pytest.raises(ValueError, match="index 1 is nan"):
        KLL().update_many([1.0, np.nan])
    with pytest.raises(ValueError, match="empty sketch"):
        KLL().quantiles([0.5])
    with pytest.raises(ValueError, match="empty sketch"):
        KLL().cdf([0.5])


def users(*span: int) -> list[str]:
    return [f"user-{number}" for number in range(*span)]


@pytest.mark.parametrize("n", [1, 100, 3000, 50_000])
def test_a_distinct_count_is_inside_its_bounds_and_near(n: int) -> None:
    sketch = HyperLogLog()
    sketch.update_many(users(n))
    sketch.update_many(users(n // 2))
    assert sketch.estimate() == pytest.approx(n, rel=0.05)
    bounds = sketch.bounds(3)
    assert bounds.low <= n <= bounds.high
    assert bounds.low <= sketch.bounds(1).low <= sketch.bounds(1).high <= bounds.high


@pytest.mark.parametrize("n", [30, 2000, 40_000])
def test_a_distinct_count_depends_on_the_set_alone(n: int) -> None:
    rng = np.random.default_rng(n)
    whole, shuffled, merged = HyperLogLog(), HyperLogLog(), HyperLogLog()
    items = users(n)
    whole.update_many(items)
    shuffled.update_many(rng.permutation(items).tolist())
    for start, stop in ((n // 2, n), (0, 2 * n // 3)):
        part = HyperLogLog()
        part.update_many(items[start:stop])
        merged.merge(part)
    stored = HyperLogLog.from_bytes(merged.to_bytes())
    estimate = whole.estimate()
    assert estimate == shuffled.estimate() == merged.estimate() == stored.estimate()
    assert whole.bounds() == shuffled.bounds() == merged.bounds()


def test_a_merge_leaves_the_other_sketch_alone() -> None:
    a, b = HyperLogLog(), HyperLogLog()
    a.update_many(users(100))
    b.update_many(users(50, 60))
    before = b.to_bytes()
    a.merge(b)
    assert b.to_bytes() == before


def test_bounds_of_an_unknown_width_are_refused() -> None:
    with pytest.raises(ValueError, match="deviations must be 1, 2 or 3, got 4"):
        HyperLogLog().bounds(4)


def test_a_distinct_count_of_another_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision 10, expected 12"):
        HyperLogLog.from_bytes(bytes(hll_sketch(10).serialize_compact()))


@some
@given(st.lists(st.sampled_from([f"item-{n}" for n in range(30)]), max_size=200))
def test_few_different_items_are_counted_exactly_in_a_fixed_order(items: list[str]) -> None:
    half = len(items) // 2
    sketch, other = FrequentItems(), FrequentItems()
    sketch.update_many(items[:half])
    other.update_many(items[half:])
    sketch.merge(other)
    expected = sorted(
        ((items.count(item), item) for item in set(items)), key=lambda e: (-e[0], e[1])
    )
    assert [(each.estimate, each.item) for each in sketch.top(100)] == expected
    assert all(each.lower == each.estimate == each.upper for each in sketch.top(100))
    assert sketch.top(2) == sketch.top(100)[:2]
    assert sketch.total == len(items)
    assert FrequentItems.from_bytes(sketch.to_bytes()).top(100) == sketch.top(100)


def test_frequent_items_are_found_among_many_with_sound_bounds() -> None:
    rng = np.random.default_rng(1)
    items = [f"item-{n}" for n in rng.zipf(1.3, 60_000)]
    names, counts = np.unique(items, return_counts=True)
    truth = dict(zip(names.tolist(), counts.tolist(), strict=True))
    sketch = FrequentItems()
    sketch.update_many(items)
    found = {each.item: each for each in sketch.top(10_000)}
    for item, count in truth.items():
        if count > sketch.error:
            assert found[item].lower <= count <= found[item].upper <= count + sketch.error
    assert sketch.error < 0.004 * sketch.total


def test_a_weight_counts_that_often_and_none_may_be_negative() -> None:
    sketch = FrequentItems()
    sketch.update("a", 5)
    sketch.update("a", 2)
    sketch.update("b", 0)
    assert sketch.top(5) == [("a", 7, 7, 7)]
    with pytest.raises(ValueError, match="weight must be at least 0, got -1"):
        sketch.update("a", -1)


@pytest.mark.parametrize("kind", [KLL, HyperLogLog, FrequentItems])
def test_a_sketch_survives_bytes_and_text(kind: type[ByteSketch]) -> None:
    sketch = kind()
    if isinstance(sketch, KLL):
        sketch.update_many([1.0, 2.0, 3.0])
    elif isinstance(sketch, HyperLogLog | FrequentItems):
        sketch.update_many(["a", "b"])
    assert kind.from_bytes(sketch.to_bytes()).to_bytes() == sketch.to_bytes()
    assert kind.from_base64(sketch.to_base64()).to_bytes() == sketch.to_bytes()


@pytest.mark.parametrize("kind", [KLL, HyperLogLog, FrequentItems])
@pytest.mark.parametrize("junk", [b"", b"x", bytes(100), b"\x05\x01\x0f\x08" * 40])
def test_bytes_that_are_no_sketch_are_refused(kind: type[ByteSketch], junk: bytes) -> None:
    with pytest.raises(ValueError, match="not a "):
        kind.from_bytes(junk)


def test_text_that_is_not_base64_is_refused() -> None:
    with pytest.raises(ValueError, match="not base64"):
        KLL.from_base64("!!")
