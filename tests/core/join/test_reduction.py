"""What a tick's rows amount to is what counting them one by one gives."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.join.cells import Cells
from streams.core.join.counting import NO_KEY, count_keys
from streams.core.join.facts import ModelFacts
from streams.core.join.groups import Groups, combinations
from streams.core.join.reduce_facts import reduce_facts
from streams.core.join.reduce_predictions import reduce_predictions
from streams.events.columns import Coded
from tests.core.join.reduction import (
    START,
    Count,
    Rows,
    count_labels,
    count_outcomes,
    count_predictions,
    model_of,
)

TASKS = ("binary", "multiclass", "regression", "ranking", "outcome")
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("task", TASKS)
@given(
    seed=SEEDS,
    count=st.sampled_from([1, 2, 7, 40, 600]),
    numeric=st.sampled_from([0, 1, 5]),
    categorical=st.sampled_from([0, 2]),
)
@settings(max_examples=25)
def test_predictions_count_in_every_cell_of_theirs(
    task: str, seed: int, count: int, numeric: int, categorical: int
) -> None:
    config, layout = model_of(task, numeric, categorical)
    block = Rows(seed, layout, count, scored=bool(seed % 5)).block()
    groups = Groups(config)
    group = groups.assign(block)
    found, found_inputs = reduce_predictions(layout, "user", block, groups, group)
    members = [groups.members[number] for number in group.tolist()]
    traffic, inputs = count_predictions(layout, block, members)
    traffic.check(found)
    assert (found_inputs is None) == (not numeric and not categorical)
    inputs.check(found_inputs)


@given(seed=SEEDS)
@settings(max_examples=3)
def test_two_hundred_features_are_counted_like_one(seed: int) -> None:
    config, layout = model_of("binary", 200, 0)
    block = Rows(seed, layout, 200).block()
    groups = Groups(config)
    group = groups.assign(block)
    _, found = reduce_predictions(layout, None, block, groups, group)
    members = [groups.members[number] for number in group.tolist()]
    count_predictions(layout, block, members)[1].check(found)


@pytest.mark.parametrize("task", TASKS)
@given(seed=SEEDS, counts=st.lists(st.sampled_from([1, 2, 9, 70]), min_size=1, max_size=3))
@settings(max_examples=25)
def test_facts_count_by_prediction_and_first_ones_by_arrival(
    task: str, seed: int, counts: list[int]
) -> None:
    config, layout = model_of(task, 0, 0)
    groups, facts, total = Groups(config), ModelFacts(), Count()
    at = START + 60_000
    for i, count in enumerate(counts):
        rows = Rows(seed + i, layout, count, scored=bool(seed % 5))
        group = groups.assign(rows.block())
        members = [groups.members[number] for number in group.tolist()]
        labels = rows.labels(group)
        facts.labels.append(labels)
        count_labels(layout, labels, members, at, total)
        if layout.outcomes:
            facts.outcomes.append(rows.outcomes(group))
            count_outcomes(layout, facts.outcomes[-1], members, at, total)
        facts.conflicts.append((rows.ts, group))
        for ts, (version, *segments) in zip(rows.ts.tolist(), members, strict=True):
            start = ts // layout.pane * layout.pane
            cells = [("prediction_time", version, one, start) for one in ("*", *segments)]
            total.to(cells).add("labels", 3)
    total.check(reduce_facts(layout, facts, groups, at))


@given(
    seed=SEEDS,
    rows=st.integers(0, 60),
    cells=st.sampled_from([1, 3, 500]),
    widest=st.sampled_from([1, 5, 2000, 10**6, 2**40]),
    weighted=st.sampled_from([0, 1]),
)
def test_keys_are_summed_by_cell_however_many_there_are(
    seed: int, rows: int, cells: int, widest: int, weighted: int
) -> None:
    rng = np.random.default_rng(seed)
    sets = rng.integers(-1, 4, (2, rows))
    of_sets = rng.integers(0, cells, (4, 3))
    keys = rng.integers(-widest, widest, (rows, 2))
    keys[rng.random(keys.shape) < 0.2] = NO_KEY
    weights = rng.integers(-3, 4, rows) / 2 if weighted else np.zeros(0)
    total: dict[tuple[int, int], float] = {}
    for i in range(rows):
        for own in (own for own in sets[:, i].tolist() if own >= 0):
            for cell in of_sets[own].tolist():
                for key in (key for key in keys[i].tolist() if key != NO_KEY):
                    weight = weights[i] if weighted else 1.0
                    total[cell, key] = total.get((cell, key), 0.0) + weight
    found = count_keys(Cells([()] * cells, sets, of_sets), keys, weights)  # type: ignore[list-item]  # only counted
    pairs = zip(found.cells.tolist(), found.keys.tolist(), strict=True)
    assert list(zip(pairs, found.sums.tolist(), strict=True)) == sorted(total.items())


@given(values=st.lists(st.floats(allow_nan=True), min_size=1, max_size=200))
def test_endless_numbers_are_counted_like_others(values: list[float]) -> None:
    config, layout = model_of("binary", 1, 0)
    block = Rows(1, layout, len(values)).block()
    block.ts = np.full(len(values), START)
    block.version.codes[:] = 0
    block.numeric, block.numeric_bad = np.array(values).reshape(-1, 1), None
    groups = Groups(config)
    _, found = reduce_predictions(layout, None, block, groups, groups.assign(block))
    assert found is not None
    present = [value for value in values if not math.isnan(value)]
    assert found.dense["numeric"].tolist() == [[len(present), len(values) - len(present), 0, 0]]
    assert found.dense["bins"].sum() == len(present) == found.sparse["quantiles"].sums.sum()


@given(seed=SEEDS, rows=st.integers(1, 80), kinds=st.lists(st.sampled_from([0, 1, 3, 10**6])))
def test_combinations_are_numbered_as_they_appear(seed: int, rows: int, kinds: list[int]) -> None:
    rng = np.random.default_rng(seed)
    columns = [
        Coded(["x"] * kind, rng.integers(-2, min(kind, 40), rows).astype(np.int32))
        for kind in [2, *kinds]
    ]
    for column in columns[1:]:
        column.codes[column.codes > 20] *= len(column.values) // 40
    numbers, first = combinations(columns)
    known: dict[tuple[int, ...], int] = {}
    told = list(zip(*(column.codes.tolist() for column in columns), strict=True))
    assert numbers.tolist() == [known.setdefault(codes, len(known)) for codes in told]
    assert first.tolist() == [told.index(codes) for codes in known]
