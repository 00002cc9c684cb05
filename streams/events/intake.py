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
from streams.events.feedback import FeedbackCodec, Gathered, feedback_rows
from streams.events.misplaced import sample_placement
from streams.events.prediction_codec import Extractor, PredictionCodec
from streams.events.prediction_columns import Assembler
from streams.events.reasons import Reason, Rejected, Verdicts
from streams.events.records import Places, Reader, Reading
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
    """

    def __init__(self, settings: Settings, partitions: int | None = None) -> None:
        self._limits = settings.pipeline.limits
        self._accept = settings.pipeline.processing.unknown_models == "accept"
        self._partitions = partitions
        shapes = [shape_of(model.config) for model in settings.models.values()]
        self._codec = PredictionCodec(shapes)
        self._plans = {shape.model: (shape, self._codec.extractor(shape)) for shape in shapes}
        self._configured = len(shapes)

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
        reader = Reader(chunk, self._codec, self._limits)
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
        places = reader.places()
        blocks = {
            model: target.block(self._limits.max_id_length) for model, target in assemblers.items()
        }
        return self._finish(chunk, places, verdicts, blocks, clock, now_ms)

    def _finish(
        self,
        chunk: Chunk,
        places: Places,
        verdicts: Verdicts,
        blocks: dict[str, PredictionBlock],
        clock: int,
        now_ms: int,
    ) -> Decoded[PredictionRows]:
        """Judge event time over all models, then drop what is rejected."""
        ts = np.zeros(len(places), dtype=np.int64)
        lateness = np.zeros(len(places), dtype=np.int64)
        for model, block in blocks.items():
            ts[block.rows] = block.ts
            lateness[block.rows] = self._plans[model][0].lateness
        running = timeline(ts, lateness, chunk, places, verdicts, self._limits, clock, now_ms)
        kept = places.kept(verdicts)
        index = np.flatnonzero(kept)
        position = np.cumsum(kept) - 1
        found = []
        for block in blocks.values():
            mine = kept[block.rows]
            if mine.all():
                block.rows = position[block.rows]
                found.append(block)
            elif mine.any():
                chosen = np.flatnonzero(mine)
                found.append(block.take(chosen, position[block.rows[chosen]]))
        offsets = np.array(chunk.offsets, dtype=np.int64)
        rows = PredictionRows(ts[index], running[index], offsets[places.record[index]], found)
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
    """

    def __init__(self, settings: Settings, partitions: int | None = None) -> None:
        self._limits = settings.pipeline.limits
        self._partitions = partitions
        self._codec = FeedbackCodec()

    def decode(self, chunk: Chunk, clock: int, now_ms: int) -> Decoded[FeedbackRows]:
        """Turn records into rows.

        Args:
            chunk: records of the feedback topic.
            clock: running maximum of accepted event times before the chunk; ``NO_CLOCK`` at first.
            now_ms: wall clock, for records without a broker timestamp.
        """
        reader = Reader(chunk, self._codec, self._limits)
        gathered = Gathered()
        for reading in reader.readings():
            gathered.add(reading)
        places = reader.places()
        rows = feedback_rows(gathered, chunk, places, reader.verdicts, self._limits, clock, now_ms)
        wrong, hint = 0, None
        if len(rows):
            wrong, hint = sample_placement(
                rows.ids,
                rows.raw.record.astype(np.int64),
                rows.raw.row >= 0,
                chunk,
                self._partitions,
            )
        return Decoded(rows, places.rejected(reader.verdicts), len(chunk), len(places), wrong, hint)
