"""The join of one tick: its predictions, then its feedback, against everything remembered."""

import bisect
import itertools
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from streams.config import LoadedModel, Settings
from streams.config.model import unknown_model
from streams.core.join.books import Books
from streams.core.join.bundling import TickNews
from streams.core.join.early import EarlyTruth, detach
from streams.core.join.facts import ModelFacts
from streams.core.join.index import ABSENT
from streams.core.join.matcher import Changes, Matcher
from streams.core.join.pages import MATCHED, NewRows
from streams.core.join.reduce_facts import error_series, reduce_facts
from streams.core.join.reduce_predictions import reduce_predictions
from streams.core.join.slices import Fed
from streams.core.join.state import Delta, EarlyRecord, NewPage
from streams.core.join.unmatched import UnmatchedWriter
from streams.core.join.waiting import ModelState, Waiting
from streams.core.partials import ModelNews
from streams.events.columns import FeedbackRows, PredictionBlock, PredictionRows
from streams.events.ids import Ids as IdColumn
from streams.events.quarantine import to_output, to_outputs
from streams.events.reasons import Rejected
from streams.wire import Output

Ints = NDArray[np.int64]

PREDICTIONS = "predictions"
FEEDBACK = "feedback"


class TickJoin:
    """All that a partition remembers, and what each tick does to it.

    What it finds out gathers in ``ticks``, ``outputs`` and ``delta`` until the next checkpoint.

    Args:
        settings: the pipeline and its models.
        partition: number of the partition.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        pipeline = settings.pipeline
        self._settings = settings
        self._tick_ms = settings.tick_ms
        self._unmatched = UnmatchedWriter(partition, pipeline.sinks.publish_unmatched)
        self._moment = 0
        self.models = {name: ModelState(model) for name, model in settings.models.items()}
        # The same for all truth, as nobody knows which model it is about; and from the start, as
        # what is saved says until when it is needed.
        waits = [model.config.truth_wait for model in settings.models.values()]
        if pipeline.processing.unknown_models == "accept":
            waits.append(unknown_model("").truth_wait)
        self.longest_wait = max(waits, default=0)
        self.waiting = Waiting()
        self.early = EarlyTruth()
        self.books = Books()
        self.quarantined: Counter[str] = Counter()
        self.ticks: list[TickNews] = []
        self.outputs: list[Output] = []
        self.delta = Delta()
        self._changes = Changes()
        self._matcher = Matcher(self.waiting, self.books, self._changes)

    def take_books(self, books: Books) -> None:
        """Go on from other balances."""
        self.books = books
        self._matcher = Matcher(self.waiting, books, self._changes)

    def harvest(self) -> tuple[list[TickNews], list[Output], Delta]:
        """Hand over what was found out, and begin anew."""
        if self._changes:
            self.delta.changes = self._changes.take()
            until = self.delta.changes.needed_until
            self.delta.needed_until = max(self.delta.needed_until, until)
        found = self.ticks, self.outputs, self.delta
        self.ticks, self.outputs, self.delta = [], [], Delta()
        return found

    @property
    def changed(self) -> bool:
        """Whether there is anything to harvest."""
        return bool(self.ticks or self.outputs or self.delta or self._changes)

    def take(self, tick: int, predictions: list[Fed], feedback: list[Fed]) -> None:
        """Join one tick.

        Args:
            tick: the tick; none before it will be taken any more.
            predictions: its predictions, in topic order.
            feedback: its feedback, likewise.
        """
        # Squares of numbers near the end of the range are infinite, and may be.
        with np.errstate(over="ignore", invalid="ignore"):
            self._take(tick, predictions, feedback)

    def _take(self, tick: int, predictions: list[Fed], feedback: list[Fed]) -> None:
        moment = tick * self._tick_ms
        self.expire(moment)
        facts: dict[str, ModelFacts] = {}
        news: dict[str, ModelNews] = {}
        self._quarantine(predictions, PREDICTIONS)
        self._quarantine(feedback, FEEDBACK)
        rows = PredictionRows.concat([f.rows for f in predictions])  # type: ignore[misc]  # by source
        self.books.predictions_in += len(rows)
        for block in sorted(rows.blocks, key=lambda block: block.model):
            self._take_predictions(block, moment, news, facts)
        labels = FeedbackRows.concat([f.rows for f in feedback])  # type: ignore[misc]  # by source
        self.books.feedback_in += len(labels)
        if len(labels):
            self._take_feedback(labels, moment, facts)
        for name, found in sorted(facts.items()):
            self._reduce(name, found, moment, news)
        if news:
            self.ticks.append((tick, news))

    def model(self, name: str) -> ModelState:
        """What is kept about a model; made for one that no file describes but that is let in."""
        state = self.models.get(name)
        if state is None:
            loaded = LoadedModel(unknown_model(name), self._settings.pipeline.windows)
            state = self.models[name] = ModelState(loaded)
        return state

    def _quarantine(self, fed: list[Fed], source: str) -> None:
        topic = self._settings.pipeline.topics.name(source)
        for part in fed:
            if part.chunk is None:
                continue
            self.outputs += to_outputs(part.chunk, part.rejected, topic)
            self.quarantined.update(f"{source}:{rejected.reason}" for rejected in part.rejected)
            count = len(part.rejected)
            if source == PREDICTIONS:
                self.books.predictions_in += count
                self.books.predictions_quarantined += count
            else:
                self.books.feedback_in += count
                self.books.feedback_quarantined += count

    # -- predictions -------------------------------------------------------------------------

    def _take_predictions(
        self,
        block: PredictionBlock,
        moment: int,
        news: dict[str, ModelNews],
        facts: dict[str, ModelFacts],
    ) -> None:
        model = self.model(block.model)
        known = self.waiting.find(block.ids)
        duplicate = self.waiting.repeats(block.ids)
        held = np.flatnonzero(known != ABSENT)
        if len(held):
            duplicate[held] |= self._remembered(known[held], moment)
        if duplicate.any():
            self.books.predictions_duplicate += int(duplicate.sum())
            fresh = np.flatnonzero(~duplicate)
            block = block.take(fresh, block.rows[fresh])
        if not len(block):
            return
        group = model.groups.assign(block)
        score = block.score if model.score_width else None
        rows = NewRows(block.ids, block.ts, group, block.predicted, score, block.ranking)
        _, placed = self.waiting.add(block.model, model.score_width, rows)
        self.books.predictions_waiting += len(block)
        delta = self.delta
        for part in placed:
            delta.rows.append(
                NewPage(block.model, part.page, part.start, model.score_width, part.rows)
            )
        newest = int(block.ts.max())
        delta.needed_until = max(delta.needed_until, newest + model.retention)
        item = self._news_of(news, block.model, model)
        item.traffic, item.inputs = reduce_predictions(
            model.layout, model.config.distinct, block, model.groups, group
        )
        item.last_prediction = newest
        for name in model.series:
            if name != "error":
                item.runs[name] = _series(model, block, name)
        self._meet_early(block.ids, moment, facts)

    def _remembered(self, handles: Ints, moment: int) -> NDArray[np.bool_]:
        """Whether rows are still within their model's retention at a moment."""
        kept = np.zeros(len(handles), dtype=np.bool_)
        for _, page, positions, slots in self.waiting.store.by_page(handles):
            kept[positions] = page.ts[slots] + self.model(page.model).retention >= moment
        return kept

    def _meet_early(self, ids: IdColumn, moment: int, facts: dict[str, ModelFacts]) -> None:
        met = self.early.claim(ids)
        if not met:
            return
        delta = self.delta
        delta.claimed += [early.number for early in met]
        delta.needed_until = max(delta.needed_until, met[-1].arrived + self.longest_wait)
        self.books.feedback_waiting -= len(met)
        rows = FeedbackRows.concat([early.row for early in met])
        self._take_feedback(rows, moment, facts)

    # -- feedback ---------------------------------------------------------------------------------

    def _take_feedback(self, rows: FeedbackRows, moment: int, facts: dict[str, ModelFacts]) -> None:
        handles = self.waiting.find(rows.ids)
        found = np.flatnonzero(handles != ABSENT)
        by_model: dict[str, list[Ints]] = {}
        late = []
        absent = np.ones(len(rows), dtype=np.bool_)
        for _, page, positions, slots in self.waiting.store.by_page(handles[found]):
            model = self.model(page.model)
            age = moment - page.ts[slots]
            absent[found[positions[age <= model.retention]]] = False
            late.append(found[positions[(age > model.horizon) & (age <= model.retention)]])
            by_model.setdefault(page.model, []).append(found[positions[age <= model.horizon]])
        for name, parts in sorted(by_model.items()):
            index = np.sort(np.concatenate(parts))
            if len(index):
                self._match(name, rows, index, handles[index], facts)
        for i in sorted(i for part in late for i in part.tolist()):
            self.books.feedback_late += 1
            self.outputs += self._unmatched.truth("late", rows, i, moment)
        for row in detach(rows, np.flatnonzero(absent).tolist()):
            self._wait(row, moment)

    def _match(
        self,
        name: str,
        rows: FeedbackRows,
        index: Ints,
        handles: Ints,
        facts: dict[str, ModelFacts],
    ) -> None:
        model = self.model(name)
        found = facts.setdefault(name, ModelFacts())
        verdict = self._matcher.apply(model, found, rows, index, handles)
        topic = self._settings.pipeline.topics.name(FEEDBACK)
        for i, reason, detail in verdict.refused:
            raw = rows.raw[i]
            rejected = Rejected(reason, detail, raw.record, raw.row)
            self.outputs.append(to_output(raw.chunk, rejected, topic))
            self.quarantined[f"{FEEDBACK}:{reason}"] += 1
            self.books.feedback_quarantined += 1
        for i in verdict.conflicts:
            self.outputs += self._unmatched.truth("conflict", rows, i, self._moment, name)

    def _wait(self, row: FeedbackRows, moment: int) -> None:
        early = self.early.add(row, moment)
        self.books.feedback_waiting += 1
        delta = self.delta
        delta.early.append(EarlyRecord(early.number, moment, early.chunk, early.batch_row))
        delta.needed_until = max(delta.needed_until, moment + self.longest_wait)

    def _reduce(
        self, name: str, found: ModelFacts, moment: int, news: dict[str, ModelNews]
    ) -> None:
        model = self.model(name)
        table = reduce_facts(model.layout, found, model.groups, moment)
        if table is None:
            return
        item = self._news_of(news, name, model)
        item.quality = table
        item.last_label = found.last_label
        if "error" in model.series:
            item.runs["error"] = error_series(model.layout, found)

    # -- time -------------------------------------------------------------------------------------

    def expire(self, moment: int) -> None:
        """Let event time pass: give up on what nothing can match any more."""
        self._moment = moment
        tell = "expired" in self._unmatched.wanted
        unmet: list[tuple[int, int, int]] = []
        gone = []
        for number, page in self.waiting.store.pages.items():
            model = self.model(page.model)
            slots = page.expire(moment - model.horizon)
            if len(slots):
                slots = slots[(page.flags[slots] & MATCHED) == 0]
                self.books.predictions_waiting -= len(slots)
                self.books.predictions_expired += len(slots)
                if tell:
                    due = (page.ts[slots] + model.horizon).tolist()
                    unmet += zip(due, itertools.repeat(number), slots.tolist())
            if page.newest + model.retention < moment:
                gone.append(number)
        orphans = self.early.expire(moment - self.longest_wait)
        self.books.feedback_waiting -= len(orphans)
        self.books.feedback_orphan += len(orphans)
        # In the order in which they fell due, so that it makes no difference how far time moved.
        unmet.sort()
        for early in orphans:
            due = early.arrived + self.longest_wait
            behind = bisect.bisect_left(unmet, (due + 1,))
            for one in unmet[:behind]:
                self._expired(*one)
            del unmet[:behind]
            self.outputs += self._unmatched.truth("orphan", early.row, 0, due)
        for one in unmet:
            self._expired(*one)
        for number in gone:
            self.waiting.drop(number)

    def _expired(self, due: int, number: int, slot: int) -> None:
        page = self.waiting.store.pages[number]
        self.outputs.append(self._unmatched.expired(page, slot, due))

    @staticmethod
    def _news_of(news: dict[str, ModelNews], name: str, model: ModelState) -> ModelNews:
        return news.setdefault(name, ModelNews(model.layout.fingerprint))


def _series(model: ModelState, block: PredictionBlock, name: str) -> NDArray[np.float64]:
    """Values that a sequential detector watches, in topic order, gaps left out."""
    if name == "score":
        values = np.zeros(0) if block.score is None else block.score
        if values.ndim > 1:
            values = values.max(axis=1)
    elif name == "prediction":
        values = block.predicted
    else:
        feature = name.partition(":")[2]
        values = block.numeric[:, model.layout.numeric.index(feature)]
    return values[~np.isnan(values)]
