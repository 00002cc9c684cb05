"""Summaries merge to what their rows would have given, and travel unchanged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from streams.core.partials import (
    Bundle,
    Cell,
    CellKey,
    CellTable,
    ModelNews,
    SparseColumn,
    add_table,
    merge_moments,
    without,
)

ROWS = st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(0, 4).map(float)), max_size=20)


def moments(rows: list[tuple[float, float]]) -> np.ndarray:
    total = sum(w for _, w in rows)
    if total == 0:
        return np.zeros(3)
    mean = sum(x * w for x, w in rows) / total
    return np.array([total, mean, sum(w * (x - mean) ** 2 for x, w in rows)])


@given(ROWS, ROWS)
def test_moments_merge_to_those_of_all_rows(a: list, b: list) -> None:
    assert merge_moments(moments(a), moments(b)) == pytest.approx(moments(a + b), abs=1e-4)


@given(ROWS, ROWS)
def test_rows_can_be_taken_out_of_moments(kept: list, removed: list) -> None:
    left = without(moments(kept + removed), moments(removed))
    assert left == pytest.approx(moments(kept), abs=1e-2)


def test_an_empty_side_changes_not_a_bit() -> None:
    some = np.array([3.0, 0.1, 0.7])
    assert merge_moments(some, np.zeros(3)).tolist() == some.tolist()
    assert merge_moments(np.zeros(3), some).tolist() == some.tolist()


PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(-40, 40), st.integers(0, 3)), max_size=40)


@given(PAIRS, st.booleans(), st.sampled_from([1, 100_000, 50_000_000]))
def test_sparse_counts_are_sums_by_cell_and_key_in_order(
    pairs: list[tuple[int, int, int]],
    weighted: bool,  # noqa: FBT001 - drawn
    spread: int,
) -> None:
    cells = np.array([c for c, _, _ in pairs], dtype=np.int64)
    keys = np.array([k * spread for _, k, _ in pairs], dtype=np.int64)
    weights = np.array([float(w) for _, _, w in pairs])
    column = SparseColumn.count(cells, keys, weights if weighted else None)
    expected: dict[tuple[int, int], float] = {}
    for cell, key, weight in pairs:
        pair = (cell, key * spread)
        expected[pair] = expected.get(pair, 0.0) + (weight if weighted else 1.0)
    found = zip(column.cells.tolist(), column.keys.tolist(), strict=True)
    assert dict(zip(found, column.sums.tolist(), strict=True)) == expected
    assert list(zip(column.cells.tolist(), column.keys.tolist(), strict=True)) == sorted(expected)


def table() -> CellTable:
    sketch, items = HyperLogLog(), FrequentItems()
    sketch.update_many(["a", "b"])
    items.update("a", 3)
    return CellTable(
        [CellKey("label_time", "1", "*", 0), CellKey("label_time", "1", "c=ü", 60)],
        {"counts": np.array([[1.0, 2.0], [3.0, 4.0]])},
        {
            "score": SparseColumn(
                np.array([0, 0, 1]), np.array([-3, 5, 5]), np.array([1.0, 2.0, 3.0])
            )
        },
        {"x": np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])},
        {"distinct": [sketch.to_bytes(), None], "frequent:f": [None, items.to_bytes()]},
    )


def test_a_bundle_comes_back_as_it_was_sent() -> None:
    news = ModelNews("abc", table(), None, table(), {"error": np.array([0.0, 1.0])}, 5, -1)
    bundle = Bundle(1, 4, 9, 77, 1_000, [(75, {"m": news}), (76, {})], {"feedback_in": 3})
    again = Bundle.decode(bundle.encode())
    assert again.encode() == bundle.encode()
    assert (again.source, again.sources, again.sequence, again.frontier) == (1, 4, 9, 77)
    assert again.ticks[0][1]["m"].traffic is not None
    assert again.ticks[0][1]["m"].traffic.keys == table().keys


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01\x02", b"\x91\x63", b"{}", b"\x01"])
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"bundle|unpack"):
        Bundle.decode(data)


def test_cells_add_up_and_survive_a_snapshot() -> None:
    cells: dict[CellKey, Cell] = {}
    for _ in range(2):
        touched = list(add_table(table(), lambda key: cells.setdefault(key, Cell())))
        assert [key for key, _ in touched] == table().keys
    first, second = (Cell.from_bytes(cell.to_bytes()) for cell in cells.values())
    assert first.dense["counts"].tolist() == [2.0, 4.0]
    assert first.sparse["score"] == {-3: 2.0, 5: 4.0}
    assert second.sparse["score"] == {5: 6.0}
    assert first.moments["x"].tolist() == [2.0, 2.0, 0.0]
    assert round(first.sketches["distinct"].estimate()) == 2  # type: ignore[union-attr]  # distinct
    first.merge(second)
    assert first.dense["counts"].tolist() == [8.0, 12.0]
    assert first.sparse["score"] == {-3: 2.0, 5: 10.0}
    assert set(first.sketches) == {"distinct", "frequent:f"}


def test_cells_that_are_not_wanted_are_passed_over() -> None:
    wanted = Cell()
    keys = table().keys
    touched = add_table(table(), lambda key: wanted if key == keys[1] else None)
    assert [key for key, _ in touched] == [keys[1]]
    assert wanted.dense["counts"].tolist() == [3.0, 4.0]


def test_statistics_of_another_width_are_refused() -> None:
    cell = Cell(dense={"a": np.zeros(2)}, moments={"m": np.zeros((2, 3))})
    with pytest.raises(ValueError, match="shape"):
        cell.merge(Cell(dense={"a": np.zeros(3)}))
    with pytest.raises(ValueError, match="shape"):
        cell.merge(Cell(moments={"m": np.zeros((3, 3))}))
