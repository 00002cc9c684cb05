"""Reference data from the topics: recent predictions with the truth that came for them.

Rows are collected as columns and looked at twice in memory; a limit on their number bounds it.
"""

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np

from streams.cli.reading import Records, read
from streams.config.settings import Settings
from streams.core.join.truth import read_truth
from streams.core.layout import Layout, layout_of
from streams.events.columns import NO_CLOCK, FeedbackRows, PredictionBlock
from streams.events.intake import FeedbackIntake, PredictionIntake
from streams.profile.rows import MISSING, Floats, ReferenceRows, Texts
from streams.wire import Chunk

_CLASS_TASKS = frozenset({"binary", "multiclass"})


async def read_topics(
    settings: Settings,
    model: str,
    minutes: float,
    max_rows: int,
    progress: Callable[[int], None] = lambda _: None,
) -> list[ReferenceRows]:
    """Read one model's predictions and truth of the last minutes, up to now.

    Args:
        settings: the pipeline with that model.
        model: its name.
        minutes: how far back, by the broker's timestamps.
        max_rows: predictions to keep at most; reading predictions stops there.
        progress: told the number of predictions so far.

    Raises:
        CommandError: a topic does not exist.
    """
    collected = Collected(settings, model)
    topics = settings.pipeline.topics
    since = int((time.time() - 60 * minutes) * 1000)
    kafka = settings.pipeline.kafka
    async with aclosing(read(kafka, topics.name("predictions"), since)) as predictions:
        async for records in predictions:
            collected.add_predictions(_chunk(records))
            progress(collected.rows)
            if collected.rows >= max_rows:
                break
    async with aclosing(read(kafka, topics.name("feedback"), since)) as feedback:
        async for records in feedback:
            collected.add_feedback(_chunk(records))
    return collected.reference_rows()


def _chunk(records: Records) -> Chunk:
    return Chunk(
        source=records[0].topic,
        partition=records[0].partition,
        offsets=[record.offset for record in records],
        keys=[record.key for record in records],
        values=[record.value for record in records],
        timestamps=[record.timestamp for record in records],
        headers=[tuple(record.headers) for record in records],
    )


@dataclass(slots=True)
class _Kept:
    block: PredictionBlock
    actual: Floats


@dataclass(slots=True)
class Collected:
    """One model's rows; truth finds its prediction by id, the newest truth counts.

    Args:
        settings: the pipeline with that model.
        model: its name.
    """

    settings: Settings
    model: str
    rows: int = 0
    _layout: Layout = field(init=False)
    _predictions: PredictionIntake = field(init=False)
    _feedback: FeedbackIntake = field(init=False)
    _kept: list[_Kept] = field(default_factory=list)
    _places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._layout = layout_of(self.settings.models[self.model])
        self._predictions = PredictionIntake(self.settings)
        self._feedback = FeedbackIntake(self.settings)

    def add_predictions(self, chunk: Chunk) -> None:
        """Take records of the predictions topic; those that cannot be read are passed over."""
        # Order does not matter here, so nothing is late.
        decoded = self._predictions.decode(chunk, NO_CLOCK, chunk.timestamps[-1])
        for block in decoded.rows.blocks:
            if block.model == self.model:
                number = len(self._kept)
                self._kept.append(_Kept(block, np.full(len(block), np.nan)))
                self._places |= {id_: (number, row) for row, id_ in enumerate(block.ids)}
                self.rows += len(block)

    def add_feedback(self, chunk: Chunk) -> None:
        """Take records of the feedback topic."""
        rows: FeedbackRows = self._feedback.decode(chunk, NO_CLOCK, chunk.timestamps[-1]).rows
        ours = [row for row, id_ in enumerate(rows.ids) if id_ in self._places]
        if not ours or self._layout.task not in {*_CLASS_TASKS, "regression"}:
            return
        truth = read_truth(self._layout, rows, np.array(ours, dtype=np.int64))
        for row, value in zip(ours, truth.values.tolist(), strict=True):
            number, place = self._places[rows.ids[row]]
            if value == value:  # noqa: PLR0124 NaN: a truth that the task cannot use
                self._kept[number].actual[place] = value

    def reference_rows(self) -> list[ReferenceRows]:
        """Give everything as reference data."""
        return [self._reference(kept) for kept in self._kept]

    def _reference(self, kept: _Kept) -> ReferenceRows:
        block, layout = kept.block, self._layout
        return ReferenceRows(
            n=len(block),
            numeric={name: block.numeric[:, i] for i, name in enumerate(layout.numeric)},
            categorical={
                name: Texts(
                    block.categorical[i].values, np.maximum(block.categorical[i].codes, MISSING)
                )
                for i, name in enumerate(layout.categorical)
            },
            predicted=block.predicted if layout.task in {*_CLASS_TASKS, "regression"} else None,
            actual=kept.actual,
            score=block.score if layout.task in _CLASS_TASKS else None,
        )
