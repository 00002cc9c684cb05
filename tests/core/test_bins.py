"""Bins tell exactly what a search in their edges tells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.bins import Bins, probability_bins

FINITE = st.floats(-1e300, 1e300)
EDGES = st.lists(FINITE, max_size=80, unique=True).map(sorted)


@given(EDGES, st.lists(st.floats(allow_nan=False)))
def test_a_number_falls_where_a_search_puts_it(edges: list[float], values: list[float]) -> None:
    edges = [e for i, e in enumerate(edges) if i == 0 or e > edges[i - 1]]
    bins = Bins(edges)
    every = np.array([*values, *edges, *np.nextafter(edges, -np.inf), *np.nextafter(edges, np.inf)])
    expected = np.searchsorted(np.array(edges), every, side="right")
    assert bins.assign(every).tolist() == expected.tolist()
    assert len(bins) == len(edges) + 1


@given(st.integers(0, 2**32))
def test_quantile_edges_are_exact_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = np.unique(rng.normal(size=rng.integers(2, 300)) * 10.0 ** rng.integers(-5, 6))
    values = np.concatenate([rng.normal(size=500) * edges.std(), edges])
    expected = np.searchsorted(edges, values, side="right")
    assert (Bins(edges.tolist()).assign(values) == expected).all()


@pytest.mark.parametrize("edges", [[1.0, 1.0], [2.0, 1.0], [float("nan")], [float("inf")]])
def test_edges_must_be_finite_and_ascending(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="bin edges"):
        Bins(edges)


def test_bins_of_probabilities_are_finer_towards_both_ends() -> None:
    edges = probability_bins().edges
    assert (np.diff(edges) > 0).all()
    assert 0 < edges[0] < 1e-5
    assert edges + edges[::-1] == pytest.approx(1.0)
    assert np.diff(edges).max() <= 1 / 200 + 1e-12


def test_shape_is_kept() -> None:
    assert Bins([0.0, 1.0, 2.0]).assign(np.array([[0.5, 1.5], [-1, 9]])).tolist() == [
        [1, 2],
        [0, 3],
    ]
