"""ADWIN: delays beside river's, what an alarm keeps, and numerics."""

import math
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift

from detectors import ADWIN
from detectors.buckets import Boundaries, Rule

NEVER = Rule(0.002, 10**12, 5, 1.0)
"""Tests nothing."""


def bernoulli(seed: int, before: float, after: float, sizes: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [
            (rng.random(size) < rate).astype(float)
            for size, rate in zip(sizes, (before, after), strict=True)
        ]
    )


@pytest.mark.parametrize(
    ("before", "after", "length"), [(0.1, 0.15, 8000), (0.1, 0.2, 3000), (0.01, 0.03, 8000)]
)
def test_the_mean_delay_is_within_a_few_per_cent_of_rivers(
    before: float, after: float, length: int
) -> None:
    ours, theirs = [], []
    for seed in range(20):
        xs = bernoulli(seed, before, after, (10_000, length))
        alarms = ADWIN().update_many(xs)
        ours.append(alarms[alarms >= 10_000][0] - 10_000)
        reference = drift.ADWIN()
        for index, x in enumerate(xs.tolist()):
            reference.update(x)
            if reference.drift_detected and index >= 10_000:
                theirs.append(index - 10_000)
                break
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.06)


def test_no_change_hardly_ever_alarms() -> None:
    alarms = sum(
        ADWIN().update_many(bernoulli(seed, 0.1, 0.1, (50_000, 50_000))).size for seed in range(20)
    )
    assert alarms <= 1


def test_clustered_items_need_the_dispersion_of_their_means() -> None:
    plain = corrected = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        # Sessions of ten with mean error rate 0.1 and correlation 1 / (0.4 + 3.6 + 1) = 0.2.
        rates = np.repeat(rng.beta(0.4, 3.6, 10_000), 10)
        xs = (rng.random(rates.size) < rates).astype(float)
        plain += ADWIN().update_many(xs).size
        corrected += ADWIN(dispersion=2.8).update_many(xs).size
    assert plain >= 10
    assert corrected <= 1


def test_one_change_raises_one_alarm_and_the_window_keeps_the_new_mean() -> None:
    for seed in range(10):
        adwin = ADWIN()
        alarms = adwin.update_many(bernoulli(seed, 0.1, 0.3, (10_000, 10_000)))
        assert alarms.size == 1
        assert adwin.width == pytest.approx(10_000, rel=0.05)
        assert adwin.estimation == pytest.approx(0.3, abs=0.02)


def test_a_reset_on_alarm_leaves_an_empty_window() -> None:
    adwin = ADWIN(reset_on_alarm=True)
    xs = bernoulli(1, 0.1, 0.9, (1000, 1000))
    first = int(adwin.update_many(xs)[0])
    adwin = ADWIN(reset_on_alarm=True)
    adwin.update_many(xs[: first + 1])
    adwin.update_many(xs[first + 1 : first + 3])
    assert (adwin.width, adwin.estimation) == (0, None)


@pytest.mark.parametrize("offset", [1e6, -1e9])
def test_a_mean_far_above_the_deviation_changes_no_alarm(offset: float) -> None:
    rng = np.random.default_rng(5)
    xs = np.concatenate([rng.normal(0, 1, 4000), rng.normal(0.5, 1, 4000), rng.normal(9, 1, 4000)])
    near, far = ADWIN(), ADWIN()
    assert near.update_many(xs).tolist() == far.update_many(xs + offset).tolist()
    assert far.variance == pytest.approx(near.variance, rel=1e-5)
    assert near.estimation is not None
    assert far.estimation == pytest.approx(near.estimation + offset, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.lists(st.integers(0, 3000), max_size=6),
)
def test_chunking_changes_not_a_bit_of_the_state(seed: int, clock: int, cuts: list[int]) -> None:
    xs = np.random.default_rng(seed).normal(0, 1, 3000)
    xs[1500:] += 1
    whole, pieces = ADWIN(clock=clock), ADWIN(clock=clock)
    whole.update_many(xs)
    for part in np.split(xs, sorted(cuts)):
        pieces.update_many(part)
    assert pieces.snapshot() == whole.snapshot()


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(1, 6), st.lists(st.integers(1, 70), min_size=1, max_size=6)
)
def test_the_window_counts_every_item_in_few_buckets(
    seed: int, most: int, chunks: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    window = Boundaries(most)
    blocks = [rng.normal(2, 3, (ticks, 4)) for ticks in chunks]
    for block in blocks:
        assert window.grow(block.ravel(), 4, NEVER) == (len(block), False)
    items = np.concatenate(blocks)
    assert window.count == items.size
    assert sum(many << level for level, many in enumerate(window.levels)) == len(items)
    assert max(window.levels) <= most
    assert window.mean == pytest.approx(items.mean())
    assert window.variance == pytest.approx(items.var())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 200), st.data())
def test_dropping_buckets_leaves_the_newest_items(
    seed: int, most: int, ticks: int, data: st.DataObject
) -> None:
    items = np.random.default_rng(seed).normal(1000, 3, (ticks, 4))
    window = Boundaries(most)
    window.grow(items.ravel(), 4, NEVER)
    buckets = sum(window.levels)
    if buckets < 2:
        return
    window.drop_oldest(data.draw(st.integers(1, buckets - 1)))
    window.recentre()
    rest = items.reshape(-1)[-window.count :]
    assert sum(many << level for level, many in enumerate(window.levels)) * 4 == window.count
    assert window.mean == pytest.approx(rest.mean())
    assert window.variance == pytest.approx(rest.var(), rel=1e-6)
    restored = Boundaries.restore(most, window.snapshot())
    assert restored.snapshot() == window.snapshot()


class Plain:
    """ADWIN's window as lists of items: every bucket, every split, by the definition."""

    def __init__(self, most: int, rule: Rule) -> None:
        self.most, self.rule = most, rule
        self.buckets: list[list[float]] = []

    def add(self, tick: list[float]) -> bool:
        self.buckets.append(tick)
        size = len(tick)
        while sum(len(bucket) == size for bucket in self.buckets) > self.most:
            first = next(i for i, bucket in enumerate(self.buckets) if len(bucket) == size)
            self.buckets[first : first + 2] = [self.buckets[first] + self.buckets[first + 1]]
            size *= 2
        return any(self.changed(split) for split in range(1, len(self.buckets)))

    def changed(self, split: int) -> bool:
        old, new = (list(chain(*part)) for part in (self.buckets[:split], self.buckets[split:]))
        n, rule = len(old) + len(new), self.rule
        if n <= rule.grace_period or min(len(old), len(new)) < rule.least:
            return False
        m = 1 / (len(old) - rule.least + 1) + 1 / (len(new) - rule.least + 1)
        m *= rule.dispersion
        log_term = math.log(2 * math.log(n) / rule.delta)
        bound = math.sqrt(2 * m * np.var(old + new) * log_term) + 2 / 3 * m * log_term
        return abs(np.mean(old) - np.mean(new)) > bound


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    most=st.integers(1, 5),
    clock=st.integers(1, 7),
    least=st.integers(1, 8),
    dispersion=st.sampled_from([1.0, 1.8]),
)
def test_the_first_change_is_that_of_the_definition(
    seed: int, most: int, clock: int, least: int, dispersion: float
) -> None:
    rule = Rule(0.05, 10, least, dispersion)
    rng = np.random.default_rng(seed)
    items = np.concatenate([rng.normal(0, 1, 150), rng.normal(1.5, 1, 150)])
    plain = Plain(most, rule)
    expected = len(items) // clock, False
    for tick in range(len(items) // clock):
        if plain.add(items[tick * clock : (tick + 1) * clock].tolist()):
            expected = tick + 1, True
            break
    window = Boundaries(most)
    assert window.grow(items, clock, rule) == expected
    assert window.levels == [
        sum(len(bucket) == clock << level for bucket in plain.buckets)
        for level in range(len(window.levels))
    ]


@pytest.mark.parametrize("levels", [[3], [1, -1], [1] * 70])
def test_a_window_whose_buckets_do_not_add_up_is_refused(levels: list[int]) -> None:
    window = Boundaries(5)
    window.grow(np.arange(8.0), 4, NEVER)
    with pytest.raises(ValueError, match="buckets"):
        Boundaries.restore(5, window.snapshot() | {"levels": levels})
