"""The join does what its documentation says, as a plain reading of it shows."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from core.join.driver import Run, straight
from core.join.oracle import Numbers, Oracle
from core.join.topics import Record, settings_for, worlds
from hypothesis import given, settings

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from streams.core.join.tick_join import FEEDBACK, PREDICTIONS
from streams.core.partials import Cell, without

World = tuple[tuple[str, ...], list[Record], list[Record]]


def both(world: World) -> tuple[Run, Oracle]:
    names, predictions, feedback = world
    chosen = settings_for(names)
    run = straight(chosen, predictions, feedback)
    oracle = Oracle(chosen)
    oracle.read(predictions, feedback)
    return run, oracle


def compare(where: Any, cell: Cell, expected: Numbers) -> None:
    for name, values in cell.dense.items():
        wanted = np.zeros(len(values))
        for index, total in expected.sums.pop(name, {}).items():
            wanted[index] = total
        assert values == pytest.approx(wanted, rel=1e-9, abs=1e-6), (where, name)
    for name, sums in cell.sparse.items():
        kept = {key: total for key, total in sums.items() if abs(total) > 1e-9}
        wanted_sums = {k: v for k, v in expected.sums.pop(name, {}).items() if v}
        assert kept == pytest.approx(wanted_sums), (where, name)
    left = {name: sums for name, sums in expected.sums.items() if any(sums.values())}
    assert not left, where
    moments = dict(cell.moments)
    removed = moments.pop("actual_removed", None)
    if removed is not None:
        moments["actual"] = without(moments["actual"], removed)
    for name, values in moments.items():
        rows = values.reshape(-1, 3)
        for i, row in enumerate(rows):
            weight, mean, squares = expected.moments(name, i)
            assert row[0] == pytest.approx(weight, abs=1e-9), (where, name)
            if weight:
                assert row[1] == pytest.approx(mean, rel=1e-9, abs=1e-6), (where, name)
                # A million among small numbers costs digits.
                assert row[2] == pytest.approx(squares, rel=1e-6, abs=1.0), (where, name)
    for name, sketch in cell.sketches.items():
        seen = expected.sets.pop(name)
        if isinstance(sketch, FrequentItems):
            assert {i.item: i.estimate for i in sketch.top(100)} == dict(seen), (where, name)
        else:
            assert isinstance(sketch, HyperLogLog)
            assert round(sketch.estimate()) == len(seen), (where, name)
    assert not expected.sets, where


@settings(max_examples=30, deadline=None)
@given(worlds())
def test_every_cell_holds_what_its_rows_say(world: World) -> None:
    run, oracle = both(world)
    cells = run.cells()
    wanted = {kind: held for kind, held in oracle.cells.items() if kind[0] != "inputs"}
    assert {kind for kind in cells if kind[0] != "inputs"} == set(wanted)
    for kind, held in cells.items():
        assert set(held) == set(oracle.cells[kind])
        for key, cell in held.items():
            compare((kind, key), cell, oracle.cells[kind][key])
    assert run.runs() == {key: pytest.approx(values) for key, values in oracle.runs.items()}


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_every_row_is_in_one_place_of_the_books(world: World) -> None:
    run, oracle = both(world)
    books = {name: count for name, count in run.join.books.snapshot().items() if count}
    assert books == {name: count for name, count in oracle.books.items() if count}
    assert run.join.books.difference() == (0, 0)


@settings(max_examples=25, deadline=None)
@given(worlds())
def test_what_met_nothing_is_told_once_with_an_id_of_its_own(world: World) -> None:
    run, oracle = both(world)
    told = [o for o in run.outputs if o.topic == "unmatched"]
    ids = [dict(o.headers)["driftline.id"] for o in told]
    assert len(set(ids)) == len(ids)
    reasons = Counter(
        (ident.decode().partition("|")[0], (o.key or b"").decode())
        for o, ident in zip(told, ids, strict=True)
    )
    assert reasons == Counter(oracle.unmatched)
    refused = [
        dict(o.headers)["driftline.id"] for o in run.outputs if o.topic.startswith("quarantine")
    ]
    assert len(set(refused)) == len(refused)
    books = run.join.books
    assert len(refused) == books.predictions_quarantined + books.feedback_quarantined


@settings(max_examples=25, deadline=None)
@given(worlds())
def test_memory_is_given_back_when_nothing_is_remembered(world: World) -> None:
    names, predictions, feedback = world
    run = Run(settings_for(names), {PREDICTIONS: predictions, FEEDBACK: feedback})
    run.finish()
    join = run.join
    assert not join._join.waiting.store.pages
    assert not join._join.waiting.store._open
    assert not len(join._join.waiting.index)
    assert not len(join._join.early)
    run.checkpoint()
    # Of what was saved only the names of groups stay.
    assert all(name.startswith("groups") for name in run.state.records)
