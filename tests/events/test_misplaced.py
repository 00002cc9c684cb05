"""A producer with another partitioner is noticed, and told what to change."""

from typing import Any

import pytest
from events.examples import NOW, build_chunk, build_settings
from hypothesis import given
from hypothesis import strategies as st

from streams.events import misplaced
from streams.events.columns import NO_CLOCK
from streams.events.intake import FeedbackIntake, PredictionIntake
from streams.events.partitioner import partition_for

PARTITIONS = 6


def decode(ids: Any, keys: Any, partition: Any = 2, intake: Any = PredictionIntake) -> Any:
    events = [
        {"prediction_id": one, "timestamp": NOW, "model": "click", "event": "x"} for one in ids
    ]
    chunk = build_chunk(events, keys=keys, partition=partition)
    return intake(build_settings(), PARTITIONS).decode(chunk, NO_CLOCK, NOW)


def ids_placed_by(place: Any, partition: Any = 2, count: Any = 200) -> Any:
    names = (f"id-{i}" for i in range(100_000))
    return [one for one in names if place(one.encode(), PARTITIONS) == partition][:count]


@pytest.mark.parametrize("intake", [PredictionIntake, FeedbackIntake])
def test_records_on_their_own_partition_raise_no_alarm(intake: Any) -> None:
    ids = ids_placed_by(partition_for)
    decoded = decode(ids, [one.encode() for one in ids], intake=intake)
    assert (decoded.misplaced, decoded.misplaced_hint) == (0, None)


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        (misplaced._crc32, misplaced.CRC32),
        (misplaced._fnv1a, misplaced.FNV1A),
        (lambda key, n: len(key) * 7 % n if len(key) == 6 else 2, misplaced.UNEXPLAINED),
    ],
)
@pytest.mark.parametrize("intake", [PredictionIntake, FeedbackIntake])
def test_the_partitioner_that_explains_the_placement_is_named(
    place: Any, hint: Any, intake: Any
) -> None:
    ids = ids_placed_by(place)
    decoded = decode(ids, [one.encode() for one in ids], intake=intake)
    assert 5 <= decoded.misplaced <= misplaced.SAMPLE
    assert decoded.misplaced_hint == hint


def test_records_without_keys_are_told_so() -> None:
    ids = [f"id-{i}" for i in range(50)]
    decoded = decode(ids, [None] * 50)
    assert decoded.misplaced
    assert decoded.misplaced_hint == misplaced.NO_KEY


def test_records_with_other_keys_are_told_so() -> None:
    ids = [f"id-{i}" for i in range(50)]
    assert decode(ids, [b"user"] * 50).misplaced_hint == misplaced.OTHER_KEY


def test_the_rows_of_a_batch_are_checked_too() -> None:
    columns = {"prediction_id": [f"id-{i}" for i in range(50)], "timestamp": NOW}
    key = ids_placed_by(partition_for)[0].encode()
    chunk = build_chunk([{"model": "click", "columns": columns}], keys=[key], partition=2)
    decoded = PredictionIntake(build_settings(), PARTITIONS).decode(chunk, NO_CLOCK, NOW)
    assert decoded.misplaced_hint == misplaced.OTHER_KEY


def test_nothing_is_checked_where_the_number_of_partitions_is_unknown() -> None:
    chunk = build_chunk([{"prediction_id": "x", "timestamp": NOW, "model": "click"}], keys=[None])
    assert PredictionIntake(build_settings()).decode(chunk, NO_CLOCK, NOW).misplaced == 0


@pytest.mark.parametrize(
    ("key", "crc", "fnv"),
    [(b"", 0, 0x811C9DC5), (b"a", 0xE8B7BE43, 0xE40C292C), (b"foobar", 0x9EF61F95, 0xBF9CF968)],
)
def test_the_other_hashes_agree_with_their_published_vectors(key: Any, crc: Any, fnv: Any) -> None:
    signed = fnv - 2**32 if fnv >= 2**31 else fnv
    assert misplaced._crc32(key, 2**32) == crc
    assert misplaced._fnv1a(key, 2**32) == abs(signed)


@given(st.text(), st.integers(1, 1000))
def test_placements_are_partitions(text: Any, partitions: Any) -> None:
    key = text.encode(errors="surrogatepass")
    for place in (misplaced._crc32, misplaced._fnv1a):
        assert 0 <= place(key, partitions) < partitions
