"""Distances between histograms, against scipy and brute force."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import distance as scipy_distance

from detectors.distances import (
    BATCHED,
    NAMES,
    chi_square,
    compute,
    compute_many,
    contributions,
    hellinger,
    jensen_shannon,
    kolmogorov_smirnov,
    psi,
    psi_null_quantile,
    wasserstein,
)

Pair = tuple[NDArray[np.int64], NDArray[np.int64]]


@st.composite
def pairs(draw: st.DrawFn, least: int = 0, bins: int = 2) -> Pair:
    size = draw(st.integers(bins, 12))
    counts = st.lists(st.integers(least, 60), min_size=size, max_size=size).map(np.array)
    reference, current = draw(counts), draw(counts)
    assume(reference.any() and current.any())
    return reference, current


def options(name: str, bins: int) -> dict[str, Any]:
    return {"edges": np.arange(bins + 1.0)} if name == "wasserstein" else {}


every_name = pytest.mark.parametrize("name", sorted(NAMES))
few = settings(max_examples=60, deadline=None)


@every_name
@few
@given(pairs())
def test_a_distance_is_not_negative_and_names_the_sample_sizes(name: str, pair: Pair) -> None:
    reference, current = pair
    found = compute(name, reference, current, **options(name, reference.size))
    assert found.value >= 0
    assert found.p_value is None or 0 <= found.p_value <= 1
    assert (found.n_reference, found.n_current) == (reference.sum(), current.sum())


@every_name
@few
@given(pairs(), st.integers(1, 5))
def test_equal_shares_have_no_distance(name: str, pair: Pair, times: int) -> None:
    reference = pair[0] + (1 if name == "psi" else 0)
    found = compute(name, reference, reference * times, **options(name, reference.size))
    assert found.value == pytest.approx(0, abs=1e-7)
    assert found.p_value is None or found.p_value == pytest.approx(1, abs=1e-6)


@every_name
@few
@given(pairs())
def test_only_wasserstein_tells_reference_from_current(name: str, pair: Pair) -> None:
    reference, current = pair
    if name != "wasserstein":
        there, back = compute(name, reference, current), compute(name, current, reference)
        assert there.value == pytest.approx(back.value, rel=1e-9, abs=1e-12)


@few
@given(pairs())
def test_jensen_shannon_is_scipys_to_base_two(pair: Pair) -> None:
    expected = scipy_distance.jensenshannon(*pair, base=2)
    assert jensen_shannon(*pair).value == pytest.approx(expected, abs=1e-7)


@few
@given(pairs())
def test_kolmogorov_smirnov_is_scipys_on_the_binned_items(pair: Pair) -> None:
    reference, current = (np.repeat(np.arange(counts.size), counts) for counts in pair)
    expected = stats.ks_2samp(reference, current, method="asymp")
    found = kolmogorov_smirnov(*pair)
    assert found.value == pytest.approx(expected.statistic, abs=1e-12)
    n, m = reference.size, current.size
    scaled = expected.statistic * np.sqrt(n * m / (n + m))
    assert found.p_value == pytest.approx(stats.kstwobign.sf(scaled), abs=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05])
def test_the_kolmogorov_smirnov_p_value_of_fine_bins_is_close_to_the_exact_one(
    shift: float,
) -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(0, 1, 4000), rng.normal(shift, 1, 3000)
    edges = np.quantile(a, np.linspace(0, 1, 257)[1:-1])
    counts = [np.bincount(np.searchsorted(edges, x), minlength=256) for x in (a, b)]
    exact = stats.ks_2samp(a, b, method="asymp")
    found = kolmogorov_smirnov(*counts)
    assert exact.statistic - 1 / 256 <= found.value <= exact.statistic
    assert found.p_value == pytest.approx(exact.pvalue, abs=0.12)
    assert found.p_value is not None
    assert found.p_value >= exact.pvalue - 0.01


@few
@given(pairs(), st.integers(0, 10**6))
def test_wasserstein_is_scipys_between_the_middles_of_bins(pair: Pair, seed: int) -> None:
    reference, current = pair
    assume(np.count_nonzero(reference) > 1)
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.uniform(0.1, 3.0, reference.size + 1)) - 10
    middles = (edges[1:] + edges[:-1]) / 2
    deviation = np.repeat(middles, reference).std()
    expected = stats.wasserstein_distance(middles, middles, reference, current) / deviation
    found = wasserstein(reference, current, edges=edges)
    assert found.value == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found.p_value is None


def test_wasserstein_has_no_units() -> None:
    reference, current, edges = [50, 30, 20], [40, 30, 30], np.array([0.0, 1.0, 2.0, 4.0])
    small = wasserstein(reference, current, edges=edges).value
    assert wasserstein(reference, current, edges=1000 * edges - 7).value == pytest.approx(small)


def test_wasserstein_from_a_single_bin_is_in_halves_of_its_width() -> None:
    assert wasserstein([9, 0], [0, 9], edges=[0.0, 1.0, 2.0]).value == 2.0


@few
@given(pairs())
def test_chi_square_is_scipys_on_the_bins_in_use(pair: Pair) -> None:
    table = np.stack(pair)
    table = table[:, table.any(axis=0)]
    assume(table.shape[1] > 1)
    expected = stats.chi2_contingency(table, correction=False)
    found = chi_square(*pair)
    assert found.value == pytest.approx(expected.statistic, abs=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)


@few
@given(pairs())
def test_hellinger_is_the_root_of_one_minus_the_overlap(pair: Pair) -> None:
    reference, current = (counts / counts.sum() for counts in pair)
    overlap = sum(np.sqrt(p * q) for p, q in zip(reference, current, strict=True))
    assert hellinger(*pair).value == pytest.approx(np.sqrt(max(0, 1 - overlap)), abs=1e-7)


@pytest.mark.parametrize("name", ["hellinger", "jensen_shannon"])
def test_histograms_without_a_common_bin_are_at_distance_one(name: str) -> None:
    assert compute(name, [4, 5, 0, 0], [0, 0, 7, 1]).value == pytest.approx(1.0)


@few
@given(pairs(least=1))
def test_psi_without_empty_bins_is_the_plain_sum(pair: Pair) -> None:
    expected = 0.0
    for r, c in zip(*pair, strict=True):
        p, q = r / pair[0].sum(), c / pair[1].sum()
        expected += (q - p) * np.log(q / p)
    assert psi(*pair).value == pytest.approx(expected, abs=1e-12)


@few
@given(pairs())
def test_psi_is_finite_whatever_bin_is_empty(pair: Pair) -> None:
    assert np.isfinite(psi(*pair).value)


def test_a_bin_that_both_histograms_lack_changes_no_psi() -> None:
    assert psi([5, 0, 5], [2, 0, 8]) == psi([5, 5], [2, 8])


def test_the_smoothing_of_psi_vanishes_with_the_sample_size() -> None:
    exact = psi([500_000, 500_000, 1], [400_000, 600_000, 1]).value
    assert psi([500_000, 500_000, 1], [400_000, 600_000, 0]).value == pytest.approx(exact, rel=1e-3)


@few
@given(pairs())
def test_psi_contributions_are_shares(pair: Pair) -> None:
    shares = contributions(*pair)
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1.0) or not shares.any()
    assert shares.shape == pair[0].shape


def test_the_bin_that_moved_contributes_most() -> None:
    assert contributions([100, 100, 100, 100], [100, 100, 40, 110]).argmax() == 2
    assert not contributions([1, 2], [10, 20]).any()


@pytest.mark.parametrize(("n", "m"), [(20_000, 500), (3000, 3000)])
def test_the_null_quantile_of_psi_is_exceeded_as_often_as_stated(n: int, m: int) -> None:
    rng = np.random.default_rng(8)
    shares = np.full(10, 0.1)
    limit = psi_null_quantile(0.95, bins=10, n=n, m=m)
    above = np.mean(
        [
            psi(rng.multinomial(n, shares), rng.multinomial(m, shares)).value > limit
            for _ in range(2000)
        ]
    )
    assert above == pytest.approx(0.05, abs=0.02)


def test_the_null_quantile_and_the_p_value_of_psi_agree() -> None:
    reference, current = [500, 300, 200], [460, 320, 220]
    found = psi(reference, current)
    assert found.p_value is not None
    limit = psi_null_quantile(1 - found.p_value, bins=3, n=1000, m=1000)
    assert limit == pytest.approx(found.value)


@pytest.mark.parametrize("name", ["chi_square", "hellinger", "jensen_shannon", "psi"])
def test_p_values_without_change_are_level(name: str) -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.full(8, 5.0))
    p_values = [
        compute(name, rng.multinomial(4000, shares), rng.multinomial(2000, shares)).p_value
        for _ in range(1500)
    ]
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.03)


@every_name
def test_a_single_bin_has_nothing_to_tell(name: str) -> None:
    found = compute(name, [5], [9], **options(name, 1))
    assert found.value == 0
    assert found.p_value in {None, 1.0}


@pytest.mark.parametrize(
    ("reference", "current", "message"),
    [
        ([1, 2], [1, 2, 3], "the reference has 2 bins and the current histogram 3"),
        ([1, -2], [1, 2], r"the reference count of bin 1 is -2\.0"),
        ([1, 2], [float("nan"), 2], "the current count of bin 0 is nan"),
        ([0, 0], [1, 2], "the reference histogram is empty"),
        ([1, 2], [0, 0], "the current histogram is empty"),
        ([[1, 2]], [1, 2], r"the reference counts must have shape \(bins,\), got \(1, 2\)"),
        ([], [], "the reference counts must have shape"),
    ],
)
@every_name
def test_counts_that_make_no_pair_are_refused(
    name: str, reference: Any, current: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compute(name, reference, current, **options(name, 2))


@pytest.mark.parametrize("edges", [[0, 1], [0, 1, 1], [0, 2, 1], [0, 1, float("inf")]])
def test_edges_that_do_not_fit_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="edges"):
        wasserstein([1, 2], [2, 1], edges=edges)


def test_an_option_that_is_lacking_or_unknown_is_named() -> None:
    with pytest.raises(ValueError, match=r"wasserstein: missing .*'edges'"):
        compute("wasserstein", [1, 2], [2, 1])
    with pytest.raises(ValueError, match=r"psi: .*'edges'"):
        compute("psi", [1, 2], [2, 1], edges=[0, 1, 2])


def test_an_unknown_distance_lists_what_there_is() -> None:
    with pytest.raises(ValueError, match="unknown distance 'zzz'; known are chi_square, hellinger"):
        compute("zzz", [1], [1])


@pytest.mark.parametrize(
    "arguments",
    [(1.0, 10, 5, 5), (0.5, 1, 5, 5), (0.5, 10, 0, 5), (0.5, 10, 5, -1)],
)
def test_a_null_quantile_of_nonsense_is_refused(arguments: tuple[float, int, int, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        psi_null_quantile(*arguments)


PAIRS = st.lists(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=9).filter(
        lambda bins: any(p for p, _ in bins) and any(q for _, q in bins)
    ),
    max_size=5,
)


@given(PAIRS, st.sampled_from(sorted(BATCHED)))
def test_many_pairs_are_measured_as_each_alone(
    pairs: list[list[tuple[int, int]]], name: str
) -> None:
    columns = [np.array(bins, dtype=np.float64).T.copy() for bins in pairs]
    found = compute_many(name, [p for p, _ in columns], [q for _, q in columns])
    for (reference, current), distance in zip(columns, found, strict=True):
        alone = compute(name, reference, current)
        assert distance.value == pytest.approx(alone.value, rel=1e-9, abs=1e-7)
        assert distance.p_value == pytest.approx(alone.p_value, rel=1e-6, abs=1e-6)
        assert distance.n_current == alone.n_current
        assert distance.n_reference == alone.n_reference


def test_a_pair_over_different_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="bins"):
        compute_many("psi", [np.ones(2)], [np.ones(3)])
