"""A label is one string, however a producer spells it."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.config.labels import canonical_label
from streams.events.columns import Coded
from streams.events.labels import UNKNOWN, canonical, encode, floats, lookup, numbers

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["1", "true", "True", "1.0", "", "a"]),
    st.sampled_from([0, 0.0, -0.0, 1, 1.0, True, False]),
)
oddities = st.one_of(scalars, st.lists(st.integers(), max_size=1), st.just({}), st.just(10**5000))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (1.0, "1"),
        ("1", "1"),
        (-0.0, "0"),
        (2.5, "2.5"),
        ("Yes", "Yes"),
        ("", ""),
    ],
)
def test_labels_have_one_spelling(value: Any, text: Any) -> None:
    assert canonical(value) == text


@given(scalars.filter(lambda value: value is not None))
def test_events_and_configuration_spell_labels_alike(value: Any) -> None:
    assert canonical(value) == canonical_label(value)


def spell(value: Any) -> Any:
    if value is None:
        return -1
    if isinstance(value, (list, dict)) or value == 10**5000:
        return -2
    return canonical(value)


@settings(max_examples=300)
@given(st.lists(oddities, max_size=8))
def test_encoding_spells_each_value_by_itself(column: Any) -> None:
    coded = encode(column)
    assert len(set(coded.values)) == len(coded.values)
    found = [coded.values[code] if code >= 0 else code for code in coded.codes.tolist()]
    assert found == [spell(value) for value in column]


def test_codes_translate_into_positions_of_names() -> None:
    coded = Coded(["x", "b", "a"], np.array([0, 1, 2, -1, -2], dtype=np.int32))
    assert lookup(coded, {"a": 0, "b": 1}).tolist() == [UNKNOWN, 1, 0, -1, -2]


@settings(max_examples=300)
@given(st.lists(st.one_of(oddities, st.just(math.inf), st.just(math.nan)), max_size=8))
def test_only_finite_numbers_are_numbers(column: Any) -> None:
    found, bad = numbers(column)
    flags = [False] * len(column) if bad is None else bad.tolist()
    for value, number, wrong in zip(column, found.tolist(), flags, strict=True):
        real = isinstance(value, (int, float)) and not isinstance(value, bool)
        if real and abs(value) < 1e308:
            assert number == float(value)
            assert not wrong
        elif value is None or value != value:  # noqa: PLR0124  # NaN alone differs from itself
            assert math.isnan(number)
            assert not wrong
        else:
            assert math.isnan(number) == wrong


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False))))
def test_floats_reads_none_as_nan(column: Any) -> None:
    assert [None if math.isnan(x) else x for x in floats(column).tolist()] == column
