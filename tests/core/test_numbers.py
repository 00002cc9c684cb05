"""Numbers come back to the bit, in few bytes; what is no such column is refused."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.numbers import lay_out, pack_numbers, take_up, unpack_numbers

SMALL = st.integers(0, 5_000).map(float)
NUMBERS = st.lists(
    st.one_of(
        SMALL,
        st.just(0.0),
        st.sampled_from([-0.0, 223.0, 224.0, 4319.0, 4320.0, 2.0**32 - 1, 2.0**32, -1.0]),
        st.floats(),
    ),
    max_size=80,
)


def bits(values: np.ndarray) -> bytes:
    return values.astype("<f8").tobytes()


@given(NUMBERS, st.integers(0, 700))
def test_numbers_come_back_to_the_bit(values: list[float], zeros: int) -> None:
    column = np.array([*values, *[0.0] * zeros, *values])
    packed = pack_numbers(column)
    assert bits(unpack_numbers(packed, len(column))) == bits(column)


@given(st.lists(SMALL, max_size=50))
def test_counts_take_two_bytes_at_most_while_they_are_small(values: list[float]) -> None:
    assert len(pack_numbers(np.minimum(np.array(values), 4_000))) <= 2 * len(values)


def test_the_tokens_are_those_that_the_module_tells() -> None:
    column = np.array([5.0, 0.0, 0.0, 0.0, 1_000.0, 70_000.0, 0.5, 0.0])
    tokens = bytes([5, 0xF2, 3, 0xE0 + (776 >> 8), 776 & 0xFF, 0xF0])
    tokens += struct.pack("<I", 70_000) + b"\xf1" + struct.pack("<d", 0.5) + b"\0"
    assert pack_numbers(column) == tokens


@given(st.binary(max_size=40), st.integers(-1, 300))
def test_any_bytes_are_read_or_refused(data: bytes, count: int) -> None:
    try:
        found = unpack_numbers(data, count)
    except ValueError:
        return
    assert len(found) == count


@pytest.mark.parametrize(
    ("data", "count"),
    [
        *((b"\x01", 2), (b"\x01\x02", 1), (b"\xe0", 1), (b"\xf0\1\1", 1), (b"\xf1" + b"\0" * 7, 1)),
        *((b"\xf2", 1), (b"\xf2\x04", 3), (b"\xf3", 1), (b"", 1), (b"\x01", 10**12)),
    ],
)
def test_a_column_that_breaks_off_or_goes_on_is_refused(data: bytes, count: int) -> None:
    with pytest.raises(ValueError, match="numbers"):
        unpack_numbers(data, count)


TRIPLES = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(-(2**31), 2**31 - 1)), st.floats(-9, 9), max_size=30
)


@given(TRIPLES)
def test_sums_by_cell_and_key_come_back(sums: dict[tuple[int, int], float]) -> None:
    triples = [(cell, key, sums[cell, key]) for cell, key in sorted(sums)]
    cells = np.array([c for c, _, _ in triples], dtype=np.int64)
    keys = np.array([k for _, k, _ in triples], dtype=np.int64)
    amounts = np.array([a for _, _, a in triples], dtype=np.float64)
    found = take_up(lay_out(cells, keys, amounts, 5), 5)
    assert [part.tolist() for part in found] == [cells.tolist(), keys.tolist(), amounts.tolist()]


@pytest.mark.parametrize("laid", [[1.0, 0.0, 7.0, 1.0, 1.0, 1.0], [-1.0, 2.0, 1.0, 1.0]])
def test_pairs_that_do_not_add_up_are_refused(laid: list[float]) -> None:
    with pytest.raises(ValueError, match="pairs"):
        take_up(np.array(laid), 2)
