"""Slices and concatenations of columns lose, invent and reorder nothing."""

import itertools
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.events.columns import (
    Coded,
    FeedbackRows,
    PredictionBlock,
    PredictionRows,
    RawRows,
)
from streams.events.ids import Ids
from streams.wire import Chunk

MODELS = ("fraud", "price", "rank")


def coded(strings: Any) -> Any:
    values = list(dict.fromkeys(s for s in strings if s is not None and s != "!"))
    lookup = {value: code for code, value in enumerate(values)} | {None: -1, "!": -2}
    return Coded(values, np.array([lookup[s] for s in strings], dtype=np.int32))


def spelled(column: Any) -> Any:
    return [
        "!" if code == -2 else string
        for code, string in zip(column.codes.tolist(), column.strings(), strict=True)
    ]


def chunk(n: Any) -> Any:
    return Chunk("feedback", 0, list(range(n)), [b"k"] * n, [b"v"] * n, [0] * n, [()] * n)


def prediction_rows(seed: Any, n: Any) -> Any:
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, len(MODELS), n)
    blocks = []
    for code, model in enumerate(MODELS):
        rows = np.flatnonzero(owner == code)
        m = len(rows)
        if not m:
            continue
        shape = (m, 3) if model == "price" else (m,)
        words = rng.choice(np.array(["a", "b", "c", "!", None], dtype=object), (3, m))
        blocks.append(
            PredictionBlock(
                model=model,
                rows=rows,
                ids=Ids.of([f"{seed}-{row}" for row in rows]),
                ts=rows * 10,
                version=coded(words[0].tolist()),
                predicted=rng.random(m),
                score=rng.random(shape) if rng.random() < 0.5 else None,
                ranking=[[str(row)] for row in rows] if model == "rank" else None,
                numeric=rng.random((m, 2)),
                numeric_bad=rng.random((m, 2)) < 0.3 if rng.random() < 0.5 else None,
                categorical=[coded(words[1].tolist())],
                tags={"country": coded(words[2].tolist())},
                latency=rng.random(m),
                error=rng.random(m) < 0.5,
            )
        )
    ts = np.arange(n) * 10
    return PredictionRows(ts, np.maximum.accumulate(ts), np.arange(n) + 7, blocks)


def feedback_rows(seed: Any, n: Any) -> Any:
    rng = np.random.default_rng(seed)
    words = rng.choice(np.array(["a", "b", "!", None], dtype=object), (3, n))
    truths = {int(row): [str(row)] for row in np.flatnonzero(rng.random(n) < 0.3)}
    return FeedbackRows(
        ids=Ids.of([f"{seed}-{row}" for row in range(n)]),
        ts=np.arange(n),
        clock=np.arange(n),
        offset=np.arange(n) + 3,
        number=rng.random(n),
        text=coded(words[0].tolist()),
        items=truths,
        is_bool=rng.random(n) < 0.5 if rng.random() < 0.5 else None,
        event=coded(words[1].tolist()),
        item=coded(words[2].tolist()),
        value=rng.random(n),
        weight=rng.random(n),
        raw=RawRows(
            [chunk(n)] if n else [],
            np.zeros(n, dtype=np.int32),
            np.arange(n, dtype=np.int32),
            np.arange(n, dtype=np.int32) % 3 - 1,
        ),
    )


def spread_predictions(rows: Any) -> Any:
    """Every row by itself, from first principles."""
    out = [None] * len(rows)
    for block in rows.blocks:
        for i, row in enumerate(block.rows.tolist()):
            wide = 3 if block.model == "price" else 1
            score = [np.nan] * wide if block.score is None else np.atleast_1d(block.score[i])
            bad = [False, False] if block.numeric_bad is None else block.numeric_bad[i].tolist()
            out[row] = (
                block.model,
                block.ids[i],
                int(block.ts[i]),
                spelled(block.version)[i],
                float(block.predicted[i]),
                str(np.asarray(score).tolist()),
                None if block.ranking is None else block.ranking[i],
                block.numeric[i].tolist(),
                bad,
                [spelled(column)[i] for column in block.categorical],
                {name: spelled(column)[i] for name, column in block.tags.items()},
                float(block.latency[i]),
                bool(block.error[i]),
                int(rows.ts[row]),
                int(rows.clock[row]),
                int(rows.offset[row]),
            )
    return out


def spread_feedback(rows: Any) -> Any:
    flags = [False] * len(rows) if rows.is_bool is None else rows.is_bool.tolist()
    return list(
        zip(
            rows.ids,
            rows.ts.tolist(),
            rows.clock.tolist(),
            rows.offset.tolist(),
            rows.number.tolist(),
            spelled(rows.text),
            [rows.items.get(i) for i in range(len(rows))],
            flags,
            spelled(rows.event),
            spelled(rows.item),
            rows.value.tolist(),
            rows.weight.tolist(),
            [(raw.record, raw.row) for raw in rows.raw],
            strict=True,
        )
    )


KINDS = pytest.mark.parametrize(
    ("build", "spread", "cls"),
    [
        (prediction_rows, spread_predictions, PredictionRows),
        (feedback_rows, spread_feedback, FeedbackRows),
    ],
)


@KINDS
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 25), cut=st.tuples(*[st.integers(-3, 30)] * 2))
def test_a_slice_is_the_slice_of_the_rows(
    build: Any, spread: Any, cls: Any, seed: Any, n: Any, cut: Any
) -> None:
    rows = build(seed, n)
    assert spread(rows.slice(*cut)) == spread(rows)[slice(*cut)]
    assert len(rows.slice(*cut)) == len(range(n)[slice(*cut)])


@KINDS
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(0, 12), max_size=5))
def test_a_concatenation_holds_the_rows_of_all_parts_in_order(
    build: Any, spread: Any, cls: Any, seed: Any, sizes: Any
) -> None:
    parts = [build(seed + i, n) for i, n in enumerate(sizes)]
    whole = cls.concat(parts)
    assert spread(whole) == [row for part in parts for row in spread(part)]


@KINDS
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 25), cuts=st.lists(st.integers(0, 25)))
def test_cutting_and_joining_again_gives_the_same_rows(
    build: Any, spread: Any, cls: Any, seed: Any, n: Any, cuts: Any
) -> None:
    rows = build(seed, n)
    edges = sorted({0, n, *(cut for cut in cuts if cut <= n)})
    pieces = [rows.slice(a, b) for a, b in itertools.pairwise(edges)]
    assert spread(cls.concat(pieces)) == spread(rows)


def test_no_block_is_empty_and_no_model_has_two() -> None:
    whole = PredictionRows.concat([prediction_rows(seed, 20) for seed in range(5)]).slice(3, 70)
    assert all(len(block) for block in whole.blocks)
    assert len({block.model for block in whole.blocks}) == len(whole.blocks)
    assert all((np.diff(block.rows) > 0).all() for block in whole.blocks)


def test_taking_rows_of_a_block_keeps_their_content() -> None:
    block = prediction_rows(1, 30).blocks[0]
    taken = block.take(np.array([2, 0]), np.array([5, 6]))
    assert list(taken.ids) == [block.ids[2], block.ids[0]]
    assert taken.rows.tolist() == [5, 6]
    assert spelled(taken.version) == [spelled(block.version)[2], spelled(block.version)[0]]


def test_a_buffer_taken_at_one_end_and_filled_at_the_other_does_not_grow() -> None:
    buffer = Coded.absent(0)
    for i in range(200):
        fresh = coded([f"{i}-{j}" for j in range(10)])
        buffer = Coded.concat([buffer.take(slice(5, None)) if len(buffer) > 20 else buffer, fresh])
        buffer = buffer.take(slice(max(0, len(buffer) - 20), None))
    assert len(buffer.values) <= 60
    assert spelled(buffer) == [f"{i}-{j}" for i in (198, 199) for j in range(10)]


def test_slices_let_go_of_chunks_that_they_do_not_need() -> None:
    whole = FeedbackRows.concat([feedback_rows(1, 5), feedback_rows(2, 5)])
    assert len(whole.raw.chunks) == 2
    assert len(whole.slice(6, 9).raw.chunks) == 1


def test_empty_collections_have_every_column() -> None:
    for cls in (PredictionRows, FeedbackRows):
        empty = cls.empty()
        assert len(empty) == 0
        assert all(hasattr(empty, field.name) for field in fields(cls))
