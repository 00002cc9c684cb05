"""Read the single predictions of a chunk that are plainly right, and make blocks of them."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from streams.config.pipeline import LimitsConfig
from streams.events.class_rules import decide
from streams.events.columns import (
    MISSING,
    WRONG_TYPE,
    Coded,
    Floats,
    Ints,
    PredictionBlock,
)
from streams.events.ids import Ids
from streams.events.interning import decode_columns, pool_of, spelled
from streams.events.labels import UNKNOWN, lookup
from streams.events.names import names_of
from streams.events.prediction_columns import UNKNOWN_VERSION, filled
from streams.events.records import SNIFF
from streams.events.scan_json import fields_of
from streams.events.scan_predictions import (
    FIELDS,
    OTHERS,
    PREDICTIONS,
    TASKS,
    VARIANTS,
    VERSIONS,
    Columns,
    Plans,
    memory_of,
    scan_predictions,
)
from streams.events.shape import VARIANT, ModelShape
from streams.wire import Packed


class PredictionScanner:
    """Reads predictions of the configured models, except rankings.

    Args:
        shapes: the models.
        limits: how large events and their ids may be.
    """

    def __init__(self, shapes: Sequence[ModelShape], limits: LimitsConfig) -> None:
        self._shapes = [shape for shape in shapes if shape.task in TASKS]
        self._models = names_of([[shape.model for shape in self._shapes]])
        self._fields = names_of([FIELDS])
        self._plans = _plans(self._shapes)
        self._index = [
            {name: code for code, name in enumerate(shape.classes)} for shape in self._shapes
        ]
        self._longest = max(SNIFF, limits.max_event_bytes)
        self._longest_id = limits.max_id_length

    def read(self, packed: Packed) -> tuple[list[PredictionBlock], Ints]:
        """Read what is plainly right.

        Returns:
            Blocks whose ``rows`` are records, and the records that are left, ascending.
        """
        n, plans = len(packed), self._plans
        if not self._shapes or not n:
            return [], np.arange(n)
        wide = OTHERS + int(plans.strings.max())
        ints = np.empty((8, n), dtype=np.int64)
        floats = np.empty((2, n))
        columns = Columns(
            ints[0], ints[1], ints[2], ints[3], ints[4],
            floats[0], floats[1], np.empty(n, dtype=np.uint8), ints[5:7],
            np.full(n * int(plans.width.max()), np.nan),
            np.full(n * wide, MISSING, dtype=np.int32),
        )  # fmt: skip
        pool = pool_of(int(plans.column[-1] + OTHERS + plans.strings[-1]), n * wide)
        read, odd = scan_predictions(
            packed.data, packed.value_at, packed.value_size, self._longest, self._longest_id,
            fields_of(self._fields), self._models, plans, pool, columns, memory_of(plans), ints[7],
        )  # fmt: skip
        if not read:
            return [], ints[7]
        blocks, left = [], [ints[7, :odd]]
        tokens = decode_columns(pool, packed.data)
        models = columns.model[:read]
        for model in np.unique(models).tolist():
            rows = np.flatnonzero(models == model)
            block, odd_ones = self._block(
                packed, columns, rows, model, tokens, alone=len(rows) == read
            )
            if block is not None:
                blocks.append(block)
            if len(odd_ones):
                left.append(odd_ones)
        return blocks, left[0] if len(left) == 1 else np.sort(np.concatenate(left))

    def _block(
        self,
        packed: Packed,
        columns: Columns,
        rows: Ints,
        model: int,
        tokens: list[Coded],
        *,
        alone: bool,
    ) -> tuple[PredictionBlock | None, Ints]:
        """Make a block of some events of one model; returns also the records that are odd."""
        shape, plans = self._shapes[model], self._plans
        count, numeric = len(rows), len(shape.numeric)
        width, strings = int(plans.width[model]), OTHERS + int(plans.strings[model])
        if alone:  # what the kernel filled is already what is wanted
            numbers = columns.numbers[: count * width].reshape(count, width)
            codes = columns.codes[: count * strings].reshape(count, strings)
        else:
            numbers = columns.numbers[columns.start[0, rows][:, None] + np.arange(width)]
            codes = columns.codes[columns.start[1, rows][:, None] + np.arange(strings)]
        first = int(plans.column[model])
        words = [
            spelled(tokens[first + k], codes_of)
            for k, codes_of in enumerate(np.ascontiguousarray(codes.T))
        ]
        error = columns.error[rows].view(np.bool_)
        score = _score(shape, numbers[:, numeric:])
        predicted = columns.number[rows]
        fine = np.ones(count, dtype=np.bool_)
        if shape.classes:
            chosen = lookup(words[PREDICTIONS], self._index[model])
            predicted, absent = decide(shape, chosen, score)
            fine = (chosen != WRONG_TYPE) & (chosen != UNKNOWN) & (~absent | error)
        elif shape.task == "regression":
            absent = np.isnan(predicted)
            if score is not None:
                predicted = np.where(absent, score, predicted)
                absent &= np.isnan(score)
            fine = ~absent | error
        predicted[error] = np.nan
        records = columns.record[rows]
        categorical = OTHERS + len(shape.categorical)
        tags = dict(zip(shape.tags, words[categorical:], strict=True))
        block = PredictionBlock(
            model=shape.model,
            rows=records,
            ids=Ids.spans(packed.data, columns.id_at[rows], columns.id_size[rows]),
            ts=columns.ts[rows],
            version=filled(words[VERSIONS], UNKNOWN_VERSION),
            predicted=predicted,
            score=score,
            ranking=None,
            numeric=np.ascontiguousarray(numbers[:, :numeric]),
            numeric_bad=None,
            categorical=words[OTHERS:categorical],
            tags=tags | {VARIANT: words[VARIANTS]},
            latency=columns.latency[rows],
            error=error,
        )
        if fine.all():
            return block, records[:0]
        kept = np.flatnonzero(fine)
        return (block.take(kept, records[kept]) if len(kept) else None), records[~fine]


def _plans(shapes: Sequence[ModelShape]) -> Plans:
    groups: list[tuple[str, ...]] = []
    for shape in shapes:
        groups += [(*shape.numeric, *shape.categorical), shape.tags, shape.classes]

    def column(values: Sequence[int]) -> Ints:
        return np.array(values, dtype=np.int64)

    sizes = [sum(map(len, groups[i : i + 3])) for i in range(0, len(groups), 3)]
    strings = [len(shape.categorical) + len(shape.tags) for shape in shapes]
    scores = [len(shape.classes) if shape.task == "multiclass" else 1 for shape in shapes]
    return Plans(
        names=names_of(groups),
        task=column([TASKS[shape.task] for shape in shapes]),
        first=column(list(accumulate(sizes, initial=0))[:-1]),
        numeric=column([len(shape.numeric) for shape in shapes]),
        strings=column(strings),
        classes=column([len(shape.classes) for shape in shapes]),
        positive=column([shape.positive for shape in shapes]),
        column=column(list(accumulate([OTHERS + n for n in strings], initial=0))[:-1]),
        width=column([len(s.numeric) + n for s, n in zip(shapes, scores, strict=True)]),
    )


def _score(shape: ModelShape, numbers: Floats) -> Floats | None:
    """Make the score column of a block; None when no row has one."""
    if np.isnan(numbers).all():
        return None
    score = np.clip(numbers, 0.0, 1.0) if shape.classes else np.ascontiguousarray(numbers)
    return score if shape.task == "multiclass" else score[:, 0]
