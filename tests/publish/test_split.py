"""A batch is cut so that every part can be sent and none of its rows goes astray."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.events.partitioner import partition_for
from streams.publish.split import split_batch

ROWS = st.lists(
    st.tuples(st.text("abcé1", min_size=1, max_size=4), st.integers(0, 400)),
    min_size=1,
    max_size=50,
)


def batch(rows: list[tuple[str, int]]) -> bytes:
    columns: dict[str, Any] = {
        "prediction_id": [name for name, _ in rows],
        "timestamp": 5,
        "score": {"a": list(range(len(rows)))},
        "tags": {"text": ["x" * size for _, size in rows]},
    }
    return orjson.dumps({"model": "m", "columns": columns})


def rows_of(value: bytes) -> list[tuple[str, int, int]]:
    columns = orjson.loads(value)["columns"]
    texts = map(len, columns["tags"]["text"])
    return list(zip(columns["prediction_id"], columns["score"]["a"], texts, strict=True))


@given(ROWS, st.integers(1, 5), st.integers(150, 3_000))
def test_every_row_is_in_one_part_of_its_partition_in_order_or_too_large(
    rows: list[tuple[str, int]], partitions: int, most: int
) -> None:
    row_limit = min(most, 400)
    split = split_batch(
        batch(rows), partitions, max_row_bytes=row_limit, max_bytes=most, sample_rate=1
    )
    found: dict[int, list[tuple[str, int, int]]] = {}
    for part in split.parts:
        held = rows_of(part.value)
        assert part.rows == len(held)
        assert part.key == held[0][0].encode()
        assert len(part.value) <= (most if part.rows > 1 else row_limit)
        head = orjson.loads(part.value)
        assert (head["model"], head["columns"]["timestamp"]) == ("m", 5)
        partition = partition_for(part.key, partitions)
        assert {partition_for(name.encode(), partitions) for name, *_ in held} == {partition}
        found.setdefault(partition, []).extend(held)
    for held in found.values():
        numbers = [number for _, number, _ in held]
        assert numbers == sorted(numbers)
    everything = sorted(row for held in found.values() for row in held)
    assert len(everything) + split.too_large == len(rows)
    given_rows = {(name, number, size) for number, (name, size) in enumerate(rows)}
    assert set(everything) <= given_rows
    # What is missing could not have been sent even alone.
    for name, number, size in given_rows - set(everything):
        alone = {"prediction_id": [name], "timestamp": 5, "score": {"a": [number]}}
        alone["tags"] = {"text": ["x" * size]}
        assert len(orjson.dumps({"model": "m", "columns": alone})) > row_limit


@given(ROWS, st.floats(0, 1))
def test_sampling_leaves_the_same_ids_out_of_every_batch(
    rows: list[tuple[str, int]], rate: float
) -> None:
    def kept(partitions: int, given_rows: list[tuple[str, int]]) -> set[str]:
        split = split_batch(
            batch(given_rows), partitions, max_row_bytes=9_999, max_bytes=99_999, sample_rate=rate
        )
        assert split.sampled_out + sum(part.rows for part in split.parts) == len(given_rows)
        return {name for part in split.parts for name, *_ in rows_of(part.value)}

    assert kept(1, rows) == kept(4, rows[::-1])
