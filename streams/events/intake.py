"""From records to accepted rows and rejections: the first step of the join stage.

An intake is pure: the same chunk, clock and time give the same result, and cutting a partition's
records into other chunks changes nothing. Its only memory is which unknown models it has let in.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from streams.config.settings import Settings
from streams.events.clock import timeline
from streams.events.columns import FeedbackRows, PredictionBlock, PredictionRows
from streams.events.feedback import FeedbackCodec, Gathered, accepted, feedback_rows
from streams.events.misplaced import sample_placement
from streams.events.prediction_codec import Extractor, PredictionCodec
from streams.events.prediction_columns import Assembler
from streams.events.reasons import Reason, Rejected, Verdicts
from streams.events.records import Places, Reader, Reading
from streams.events.scan_feedback import scan_feedback
from streams.events.scanner import PredictionScanner, nothing_scanned
from streams.events.shape import ModelShape, shape_of, shape_of_unknown
from streams.wire import Chunk

RowsT = TypeVar("RowsT", PredictionRows, FeedbackRows)

#: Predictions of unknown models that are let in may be this much older than the stream, ms.
_LATENESS_OF_UNKNOWN = 600_000


@dataclass(slots=True, frozen=True)
class Decoded(Generic[RowsT]):
    """What became of a chunk.

    Attributes:
        rows: the accepted rows, in topic order.
        rejected: everything else, in topic order.
        records: records in the chunk.
        rows_in: rows seen, accepted or not; a record that cannot be read counts as one.
        misplaced: how many rows of a small sample are on the wrong partition.
        misplaced_hint: what their producer should change.
    """

    rows: RowsT
    rejected: list[Rejected]
    records: int
    rows_in: int
    misplaced: int
    misplaced_hint: str | None


class PredictionIntake:
    """Decodes predictions.

    Args:
        settings: the pipeline and its models.
        partitions: partitions of the topic, to notice misplaced records; None where unknown.
        scan: read what is plainly right without an object per event; the same comes out without.
    """

    def __init__(
        self, settings: Settings, partitions: int | None = None, *, scan: bool = True
    ) -> None:
        self._limits = settings.pipeline.limits
        self._accept = settings.pipeline.processing.unknown_models == "accept"
        self._partitions = partitions
        shapes = [shape_of(model.config) for model in settings.models.values()]
        self._codec = PredictionCodec(shapes)
        self._plans = {shape.model: (shape, self._codec.extractor(shape)) for shape in shapes}
        self._configured = len(shapes)
        self._scanner = PredictionScanner(shapes, self._limits) if scan else None

    def accepted_models(self) -> list[str]:
        """Name the unknown models that were let in, oldest first."""
        return list(self._plans)[self._configured :]

    def accept_models(self, names: Iterable[str]) -> None:
        """Let in the unknown models that an earlier intake had let in."""
        for name in names:
            self._plan(name)

    def decode(self, chunk: Chunk, clock: int, now_ms: int) -> Decoded[PredictionRows]:
        """Turn records into rows.

        Args:
            chunk: records of the predictions topic.
            clock: running maximum of accepted event times before the chunk; ``NO_CLOCK`` at first.
            now_ms: wall clock, for records without a broker timestamp.
        """
        scanned = nothing_scanned(len(chunk))
        if self._scanner is not None:
            scanned = self._scanner.read(chunk.packed)
        reader = Reader(
            chunk, self._codec, self._limits, scanned.left, scanned.counts, scanned.batched
        )
        assemblers = self._read(reader)
        places = reader.places()
        blocks: dict[str, list[PredictionBlock]] = {}
        for block, inner in scanned.blocks:
            block.rows = reader.first_rows(block.rows) + inner
            blocks.setdefault(block.model, []).append(block)
        for model, target in assemblers.items():
            blocks.setdefault(model, []).append(target.block(self._limits.max_id_length))
        whole = [_in_order(parts) for parts in blocks.values()]
        return self._finish(chunk, places, reader.verdicts, whole, clock, now_ms)

    def _read(self, reader: Reader) -> dict[str, Assembler]:
        """Read the records that are left, event by event."""
        verdicts = reader.verdicts
        assemblers: dict[str, Assembler] = {}
        for reading in reader.readings():
            if self._accept:
                # Let in by order of appearance, whatever kind of record a name comes with.
                for _, model in sorted(_first_rows(reading)):
                    self._plan(model)
            for strict, (events, rows) in ((True, reading.strict), (False, reading.lenient)):
                for model, (held, positions) in _by_model(events, rows).items():
                    if target := self._assembler(model, assemblers, verdicts):
                        target.add_events(held, positions, strict=strict)
                    else:
                        verdicts.add_all(positions, Reason.UNKNOWN_MODEL, _UNKNOWN)
            for batch, first in reading.batches:
                if target := self._assembler(batch.model, assemblers, verdicts):
                    target.add_batch(batch, first)
                else:
                    stop = first + len(batch.columns.prediction_id)
                    verdicts.add_all(list(range(first, stop)), Reason.UNKNOWN_MODEL, _UNKNOWN)
        return assemblers

    def _finish(
        self,
        chunk: Chunk,
        places: Places,
        verdicts: Verdicts,
        blocks: list[PredictionBlock],
        clock: int,
        now_ms: int,
    ) -> Decoded[PredictionRows]:
        """Judge event time over all models, then drop what is rejected."""
        ts = np.zeros(len(places), dtype=np.int64)
        lateness = np.zeros(len(places), dtype=np.int64)
        for block in blocks:
            ts[block.rows] = block.ts
            lateness[block.rows] = self._plans[block.model][0].lateness
        running = timeline(ts, lateness, chunk, places, verdicts, self._limits, clock, now_ms)
        found = [block for block in blocks if len(block)]
        index = np.arange(len(places))
        if len(verdicts):
            kept = places.kept(verdicts)
            index = np.flatnonzero(kept)
            position = np.cumsum(kept) - 1
            found = []
            for block in blocks:
                chosen = np.flatnonzero(kept[block.rows])
                if len(chosen):
                    found.append(block.take(chosen, position[block.rows[chosen]]))
        found.sort(key=lambda block: int(block.rows[0]))
        record = places.record[index]
        rows = PredictionRows(ts[index], running[index], chunk.packed.offsets[record], found)
        wrong, hint = 0, None
        if found:
            sample = found[0]
            origin = index[sample.rows]
            wrong, hint = sample_placement(
                sample.ids, places.record[origin], places.row[origin] >= 0, chunk, self._partitions
            )
        return Decoded(rows, places.rejected(verdicts), len(chunk), len(places), wrong, hint)

    def _assembler(
        self, model: str, assemblers: dict[str, Assembler], verdicts: Verdicts
    ) -> Assembler | None:
        if model not in assemblers:
            plan = self._plan(model)
            if plan is None:
                return None
            assemblers[model] = Assembler(*plan, self._codec, verdicts)
        return assemblers[model]

    def _plan(self, model: str) -> tuple[ModelShape, Extractor] | None:
        plan = self._plans.get(model)
        if plan is None and self._accept and self._has_room(model):
            shape = shape_of_unknown(model, _LATENESS_OF_UNKNOWN)
            plan = self._plans[model] = (shape, self._codec.extractor(shape))
        return plan

    def _has_room(self, model: str) -> bool:
        unknown = len(self._plans) - self._configured
        return (
            unknown < self._limits.max_unknown_models
            and 0 < len(model) <= self._limits.max_id_length
        )


_UNKNOWN = "model: no configuration describes it"


def _in_order(parts: list[PredictionBlock]) -> PredictionBlock:
    """Join the rows of one model."""
    if len(parts) == 1:
        return parts[0]
    block = PredictionBlock.concat(parts, [0] * len(parts))
    order = np.argsort(block.rows)
    return block.take(order, block.rows[order])


def _by_model(events: list[Any], rows: list[int]) -> dict[str, tuple[list[Any], list[int]]]:
    if not events:
        return {}
    names = [event.model for event in events]
    if names.count(names[0]) == len(names):
        return {names[0]: (events, rows)}
    groups: dict[str, tuple[list[Any], list[int]]] = {}
    for event, row in zip(events, rows, strict=True):
        held, positions = groups.setdefault(event.model, ([], []))
        held.append(event)
        positions.append(row)
    return groups


def _first_rows(reading: Reading) -> list[tuple[int, str]]:
    """List the models of a group with the first row of each."""
    first: dict[str, int] = {}
    for events, rows in (reading.strict, reading.lenient):
        for event, row in zip(events, rows, strict=True):
            first[event.model] = min(row, first.get(event.model, row))
    for batch, row in reading.batches:
        first[batch.model] = min(row, first.get(batch.model, row))
    return [(row, model) for model, row in first.items()]


class FeedbackIntake:
    """Decodes feedback.

    Args:
        settings: the pipeline and its models.
        partitions: partitions of the topic, to notice misplaced records; None where unknown.
        scan: read what is plainly right without an object per event; the same comes out without.
    """

    def __init__(
        self, settings: Settings, partitions: int | None = None, *, scan: bool = True
    ) -> None:
        self._limits = settings.pipeline.limits
        self._partitions = partitions
        self._codec = FeedbackCodec()
        self._scan = scan

    def decode(self, chunk: Chunk, clock: int, now_ms: int) -> Decoded[FeedbackRows]:
        """Turn records into rows.

        Args:
            chunk: records of the feedback topic.
            clock: running maximum of accepted event times before the chunk; ``NO_CLOCK`` at first.
            now_ms: wall clock, for records without a broker timestamp.
        """
        parts, left = [], np.arange(len(chunk))
        if self._scan:
            records, scanned, left = scan_feedback(chunk, self._limits)
        n = len(chunk)
        reader = Reader(
            chunk, self._codec, self._limits, left, np.ones(n, np.int64), np.zeros(n, np.bool_)
        )
        gathered = Gathered()
        for reading in reader.readings():
            gathered.add(reading)
        places, verdicts = reader.places(), reader.verdicts
        if self._scan:
            parts.append((reader.first_rows(records), scanned))
        if len(left):
            parts.append(
                feedback_rows(gathered, chunk, places, verdicts, self._limits.max_id_length)
            )
        rows = FeedbackRows.empty()
        if parts:
            rows = accepted(parts, chunk, places, verdicts, self._limits, clock, now_ms)
        wrong, hint = 0, None
        if len(rows):
            wrong, hint = sample_placement(
                rows.ids,
                rows.raw.record.astype(np.int64),
                rows.raw.row >= 0,
                chunk,
                self._partitions,
            )
        return Decoded(rows, places.rejected(verdicts), len(chunk), len(places), wrong, hint)
