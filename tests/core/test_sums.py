"""Sums by key as sorted columns, against dictionaries."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.sums import Sums, total

SUMS = st.dictionaries(st.integers(-40, 40), st.integers(-5, 5).map(float), max_size=20)


def added(parts: list[dict[int, float]]) -> dict[int, float]:
    out: dict[int, float] = defaultdict(float)
    for part in parts:
        for key, amount in part.items():
            out[key] += amount
    return dict(out)


@given(SUMS, SUMS)
def test_two_sums_add_up_by_key(a: dict[int, float], b: dict[int, float]) -> None:
    found = Sums.of(a).plus(Sums.of(b))
    assert found == added([a, b])
    assert found.at.tolist() == sorted(found)


@given(st.lists(SUMS, max_size=9))
def test_any_number_of_runs_adds_up_by_key(parts: list[dict[int, float]]) -> None:
    runs = [Sums.of(part) for part in parts]
    keys = np.concatenate([np.zeros(0, dtype=np.int64), *(run.at for run in runs)])
    amounts = np.concatenate([np.zeros(0), *(run.amounts for run in runs)])
    found = total(keys, amounts, np.cumsum([0, *map(len, runs)]))
    assert found == added(parts)
    assert found.at.tolist() == sorted(found)


@given(SUMS, st.integers(0, 30), st.integers(-40, 40), st.integers(0, 30))
def test_sums_can_be_laid_out_and_cut(
    sums: dict[int, float], size: int, low: int, width: int
) -> None:
    column = Sums.of(sums)
    assert column.spread(size).tolist() == [sums.get(key, 0.0) for key in range(size)]
    part = {key - low: amount for key, amount in sums.items() if low <= key < low + width}
    assert column.between(low, low + width) == part


def test_sums_are_looked_up_as_in_a_dictionary() -> None:
    sums = Sums.of({3: 1.5, -2: 0.0})
    assert (sums[3], sums.get(7), len(sums), 3 in sums, 4 in sums) == (1.5, None, 2, True, False)
    assert not Sums.none()
    with pytest.raises(KeyError):
        sums[9]
