"""Read the predictions of a chunk that are plainly right, and make blocks of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from streams.config.pipeline import LimitsConfig
from streams.events.class_rules import decide
from streams.events.columns import (
    MISSING,
    WRONG_TYPE,
    Bools,
    Coded,
    Floats,
    Ints,
    PredictionBlock,
)
from streams.events.ids import Ids
from streams.events.interning import Pool, decode_columns, pool_of, spelled
from streams.events.labels import UNKNOWN, lookup
from streams.events.names import names_of
from streams.events.prediction_columns import UNKNOWN_VERSION, filled
from streams.events.records import SNIFF
from streams.events.scan_batches import HEAD, PER_ROW, Found, find_batches, scan_batches
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


@dataclass(slots=True)
class Scanned:
    """What became of the records of a chunk.

    Attributes:
        blocks: blocks whose ``rows`` are records, and the place of each row in its batch, or 0.
        left: records that were not read, ascending.
        counts: rows of each record; 1 for those that are left.
        batched: marks the batches that were read.
    """

    blocks: list[tuple[PredictionBlock, Ints]]
    left: Ints
    counts: Ints
    batched: Bools


def nothing_scanned(records: int) -> Scanned:
    """Leave all records."""
    return Scanned(
        [],
        np.arange(records),
        np.ones(records, dtype=np.int64),
        np.zeros(records, dtype=np.bool_),
    )


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
        self._longest_batch = max(SNIFF, limits.max_batch_bytes)
        self._longest_id = limits.max_id_length
        self._strings = OTHERS + int(self._plans.strings.max(initial=0))
        self._head, self._columns = names_of([HEAD]), names_of([PER_ROW])

    def read(self, packed: Packed) -> Scanned:
        """Read what is plainly right."""
        n, plans = len(packed), self._plans
        scanned = nothing_scanned(n)
        if not self._shapes or not n:
            return scanned
        columns, pool = self._room(n, n * int(plans.width.max()), n * self._strings)
        left = np.empty(n, dtype=np.int64)
        read, odd = scan_predictions(
            packed.data, packed.value_at, packed.value_size, self._longest, self._longest_id,
            fields_of(self._fields), self._models, plans, pool, columns, memory_of(plans), left,
        )  # fmt: skip
        scanned.left = left[:odd]
        if read:
            self._blocks(packed, columns, pool, np.zeros(read, dtype=np.int64), scanned)
        if odd:
            self._read_batches(packed, scanned)
        return scanned

    def _read_batches(self, packed: Packed, scanned: Scanned) -> None:
        """Read the batches among the records that are left."""
        plans, records = self._plans, scanned.left
        n = len(records)
        ints = np.empty((2, n), dtype=np.int64)
        found = Found(ints[0], ints[1], np.empty((n, 3, 1 + len(PER_ROW)), dtype=np.int64))
        find_batches(
            packed.data, packed.value_at[records], packed.value_size[records], self._longest_batch,
            fields_of(self._head), fields_of(self._columns), self._models, found,
        )  # fmt: skip
        known = np.flatnonzero(found.model >= 0)
        if not len(known):
            return
        rows, model = found.rows[known], found.model[known]
        numbers, codes = rows @ plans.width[model], rows @ (OTHERS + plans.strings[model])
        columns, pool = self._room(int(rows.sum()), int(numbers), int(codes))
        fine = np.empty(n, dtype=np.uint8)
        read = scan_batches(
            packed.data, found, self._longest_id, plans, pool, columns, memory_of(plans), fine
        )
        taken = fine.view(np.bool_)
        if read:
            scanned.left = records[~taken]
            scanned.counts[records[taken]] = found.rows[taken]
            scanned.batched[records[taken]] = True
            number = columns.record[:read]
            row = np.arange(read) - np.searchsorted(number, number)
            columns.record[:read] = records[number]
            self._blocks(packed, columns, pool, row, scanned)

    def _room(self, rows: int, numbers: int, codes: int) -> tuple[Columns, Pool]:
        ints, floats = np.empty((7, rows), dtype=np.int64), np.empty((2, rows))
        columns = Columns(
            ints[0], ints[1], ints[2], ints[3], ints[4],
            floats[0], floats[1], np.empty(rows, dtype=np.uint8), ints[5:],
            np.full(numbers, np.nan), np.full(codes, MISSING, dtype=np.int32),
        )  # fmt: skip
        plans = self._plans
        return columns, pool_of(int(plans.column[-1] + OTHERS + plans.strings[-1]), codes)

    def _blocks(
        self, packed: Packed, columns: Columns, pool: Pool, row: Ints, scanned: Scanned
    ) -> None:
        """Make blocks of what the kernels read; ``row`` is the place of each in its batch."""
        tokens = decode_columns(pool, packed.data)
        models = columns.model[: len(row)]
        present = np.flatnonzero(np.bincount(models)).tolist()
        for model in present:
            chosen = slice(0, len(row)) if len(present) == 1 else np.flatnonzero(models == model)
            block, fine = self._block(packed, columns, chosen, model, tokens)
            inner = row[chosen]
            if not fine.all():
                odd = np.unique(block.rows[~fine])
                scanned.left = np.sort(np.concatenate([scanned.left, odd]))
                scanned.counts[odd] = 1
                scanned.batched[odd] = False
                kept = np.flatnonzero(~np.isin(block.rows, odd))
                block, inner = block.take(kept, block.rows[kept]), inner[kept]
            if len(block):
                scanned.blocks.append((block, inner))

    def _block(
        self,
        packed: Packed,
        columns: Columns,
        rows: Ints | slice,
        model: int,
        tokens: list[Coded],
    ) -> tuple[PredictionBlock, Bools]:
        """Make a block of some events of one model, and tell which of them are right."""
        shape, plans = self._shapes[model], self._plans
        numeric = len(shape.numeric)
        width, strings = int(plans.width[model]), OTHERS + int(plans.strings[model])
        if isinstance(rows, slice):  # what the kernel filled is already what is wanted
            numbers = columns.numbers[: rows.stop * width].reshape(-1, width)
            codes = columns.codes[: rows.stop * strings].reshape(-1, strings)
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
        fine = np.ones(len(error), dtype=np.bool_)
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
        categorical = OTHERS + len(shape.categorical)
        tags = dict(zip(shape.tags, words[categorical:], strict=True))
        block = PredictionBlock(
            model=shape.model,
            rows=columns.record[rows],
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
        return block, fine


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
