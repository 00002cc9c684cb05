"""State records: every value comes back, every damage is noticed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.edge.envelope import PART_BYTES, EnvelopeError, join_parts, open_part, seal

NOISE = random.Random(7).randbytes(2 * PART_BYTES + 17)


@given(st.binary(max_size=2000), st.integers(0, 2**64 - 1))
def test_a_value_comes_back(value: bytes, epoch: int) -> None:
    parts = [open_part(record) for record in seal(value, epoch)]
    assert join_parts(parts) == value
    assert {part.epoch for part in parts} == {epoch}


def test_a_large_value_is_cut_into_records_that_a_broker_takes() -> None:
    records = seal(NOISE, 3)
    assert [len(record) <= 1_000_000 for record in records] == [True] * 3
    assert join_parts([open_part(record) for record in records]) == NOISE


def test_a_value_is_compressed_only_when_that_is_smaller() -> None:
    (small,) = seal(b"a" * 10_000, 1)
    assert len(small) < 200
    assert open_part(seal(NOISE[:1000], 1)[0]).compressed is False


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", "an empty value"),
        (b"\x02" + bytes(30), "version 2"),
        (b"\x01short", "only 6 bytes"),
        (b"\x01\x04" + bytes(16), "impossible header"),
    ],
)
def test_what_is_no_envelope_is_refused_with_the_reason(record: bytes, reason: str) -> None:
    with pytest.raises(EnvelopeError, match=reason):
        open_part(record)


@pytest.mark.parametrize("value", [b"ab" * 500, b"short"])
def test_a_truncated_body_is_noticed(value: bytes) -> None:
    (record,) = seal(value, 1)
    with pytest.raises(EnvelopeError):
        join_parts([open_part(record[:-3])])
