"""Tables added up at once, against tables added one after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from streams.core.monitor.combine import combined
from streams.core.partials import Cell, CellKey, CellTable, SparseColumn, add_table

KEYS = [CellKey("prediction_time", "v1", "*", pane) for pane in range(4)]


def table_of(seed: int) -> CellTable:
    rng = np.random.default_rng(seed)
    keys = [KEYS[i] for i in rng.permutation(4)[: rng.integers(1, 5)]]
    n = len(keys)
    table = CellTable(keys)
    if rng.random() < 0.8:
        table.dense["counts"] = rng.integers(0, 9, (n, 3)).astype(float)
    if rng.random() < 0.8:
        m = int(rng.integers(0, 9))
        cells, buckets = np.sort(rng.integers(0, n, m)), rng.integers(-5, 5, m)
        table.sparse["score"] = SparseColumn.count(cells, buckets, rng.integers(1, 4, m) / 2)
    if rng.random() < 0.8:
        # Weights of whole cells may be nothing, and means far from zero.
        weights = rng.integers(0, 4, (n, 2)).astype(float)
        means, spreads = rng.normal(1e6, 1, (n, 2)), rng.random((n, 2))
        stacked = np.stack([weights, means, spreads], axis=-1)
        table.moments["numeric"] = np.where((weights == 0)[..., None], 0.0, stacked)
        table.moments["actual"] = table.moments["numeric"][:, 0].copy()
    if rng.random() < 0.8:
        table.sketches["frequent:plan"] = [
            sketch(FrequentItems(), rng) if rng.random() < 0.7 else None for _ in keys
        ]
        table.sketches["distinct"] = [
            sketch(HyperLogLog(), rng) if rng.random() < 0.7 else None for _ in keys
        ]
    return table


def sketch(empty: FrequentItems | HyperLogLog, rng: np.random.Generator) -> bytes:
    empty.update_many([f"item{i}" for i in rng.integers(0, 9, 6)])
    return empty.to_bytes()


def added(tables: list[CellTable]) -> dict[CellKey, Cell]:
    cells: dict[CellKey, Cell] = {}
    for table in tables:
        list(add_table(table, lambda key: cells.setdefault(key, Cell())))
    return cells


@settings(max_examples=60, deadline=None)
@given(seeds=st.lists(st.integers(0, 10_000), min_size=1, max_size=6))
def test_tables_added_at_once_are_the_tables_added_in_turn(seeds: list[int]) -> None:
    tables = [table_of(seed) for seed in seeds]
    ours, theirs = added([combined(tables)]), added(tables)
    assert list(ours) == list(theirs)
    for key, cell in theirs.items():
        mine = ours[key]
        assert mine.sparse == cell.sparse
        for name, values in mine.dense.items():
            expected = cell.dense.get(name, np.zeros(3))
            assert values.tolist() == pytest.approx(expected.tolist())
        for name, values in mine.moments.items():
            expected = cell.moments.get(name, np.zeros_like(values))
            np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-6)
        assert mine.sketches.keys() == cell.sketches.keys()
        for name, found in mine.sketches.items():
            other = cell.sketches[name]
            if isinstance(found, HyperLogLog):
                assert isinstance(other, HyperLogLog)
                assert found.estimate() == other.estimate()
            else:
                assert isinstance(other, FrequentItems)
                assert found.top(9) == other.top(9)


def test_rows_of_different_widths_are_refused() -> None:
    tables = [CellTable(KEYS[:1], {"counts": np.zeros((1, width))}) for width in (2, 3)]
    with pytest.raises(ValueError, match="must match exactly"):
        combined(tables)
