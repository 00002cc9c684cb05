"""Logarithmic buckets keep order and one percent."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.sketches.log_buckets import RELATIVE_ERROR, log_keys, log_quantiles, log_values

NUMBERS = st.floats(-1e15, 1e15, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-11)


@given(st.lists(NUMBERS, min_size=1))
def test_the_middle_of_a_bucket_is_within_one_percent(numbers: list[float]) -> None:
    values = np.array(numbers)
    error = np.abs(log_values(log_keys(values)) - values)
    assert (error <= RELATIVE_ERROR * np.abs(values) * (1 + 1e-9)).all()


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_keys_ascend_with_values_and_fit_their_stride(numbers: list[float]) -> None:
    keys = log_keys(np.sort(np.array(numbers)))
    assert (np.diff(keys) >= 0).all()
    assert (np.abs(keys) < 1 << 15).all()


@given(st.lists(NUMBERS, min_size=1), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_quantiles_are_those_of_the_values_within_one_percent(
    numbers: list[float], quantiles: list[float]
) -> None:
    keys, counts = np.unique(log_keys(np.array(numbers)), return_counts=True)
    found = log_quantiles(keys, counts.astype(np.float64), quantiles)
    exact = np.quantile(np.array(numbers), quantiles, method="inverted_cdf")
    near = np.quantile(np.array(numbers), np.array(quantiles) * (1 - 1e-12), method="inverted_cdf")
    for one, *wanted in zip(found, exact, near, strict=True):
        assert any(abs(one - w) <= RELATIVE_ERROR * abs(w) * (1 + 1e-9) for w in wanted)


def test_zero_has_a_bucket_of_its_own() -> None:
    assert log_values(log_keys(np.zeros(1))).tolist() == [0.0]


@given(st.lists(st.floats(1e-12, 1e15), min_size=1))
def test_keys_are_rounded_up_logarithms(numbers: list[float]) -> None:
    exact = np.log(np.array(numbers)) / np.log(101 / 99)
    keys = log_keys(np.array(numbers)) - 2000
    # A number at a bound belongs to the bucket below it; logarithms tell so up to their rounding.
    assert ((keys - 1 - 1e-9 < exact) & (exact < keys + 1e-9)).all()
    assert (log_keys(-np.array(numbers)) == -keys - 2000).all()
