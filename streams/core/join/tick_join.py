"""The join of one tick: its predictions, then its feedback, against everything remembered."""

import bisect
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from streams.config import LoadedModel, Settings
from streams.config.model import unknown_model
from streams.core.join.books import Books
from streams.core.join.bundling import TickNews
from streams.core.join.early import EarlyTruth, detach
from streams.core.join.facts import ModelFacts
from streams.core.join.index import ABSENT, LATE
from streams.core.join.matcher import Changes, Matcher
from streams.core.join.pages import NewRows, Page
from streams.core.join.reduce_facts import error_series, reduce_facts
from streams.core.join.reduce_predictions import reduce_predictions
from streams.core.join.slices import Fed
from streams.core.join.state import Delta, EarlyRecords, NewPage
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
        self._by_code: list[ModelState] = []
        self.models: dict[str, ModelState] = {}
        for name, model in settings.models.items():
            self._add(name, model)
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
        store = self.waiting.store
        for page, start in store.harvest():
            kind = page.kind
            rows = store.columns(page, start)
            self.delta.rows.append(NewPage(kind.name, page.number, start, kind.width, rows))
            until = page.newest + kind.retention
            self.delta.needed_until = max(self.delta.needed_until, until)
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
        return bool(
            self.ticks or self.outputs or self.delta or self._changes or self.waiting.store.appended
        )

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
            state = self._add(name, loaded)
        return state

    def _add(self, name: str, loaded: LoadedModel) -> ModelState:
        state = self.models[name] = ModelState(loaded, len(self._by_code))
        self._by_code.append(state)
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
        fresh, slots = self.waiting.index.admit(block.ids, moment)
        if not fresh.all():
            self.books.predictions_duplicate += len(block) - int(fresh.sum())
            chosen = np.flatnonzero(fresh)
            if not len(chosen):
                return
            block, slots = block.take(chosen, block.rows[chosen]), slots[chosen]
        group = model.groups.assign(block)
        score = block.score if model.score_width else None
        rows = NewRows(block.ids, block.ts, group, block.predicted, score, block.ranking)
        self.waiting.add(model.kind, rows, slots)
        self.books.predictions_waiting += len(block)
        newest = int(block.ts.max())
        item = self._news_of(news, block.model, model)
        item.traffic, item.inputs = reduce_predictions(
            model.layout, model.config.distinct, block, model.groups, group
        )
        item.last_prediction = newest
        for name in model.series:
            if name != "error":
                item.runs[name] = _series(model, block, name)
        self._meet_early(block.ids, moment, facts)

    def _meet_early(self, ids: IdColumn, moment: int, facts: dict[str, ModelFacts]) -> None:
        met = self.early.claim(ids)
        if met is None:
            return
        rows, numbers, arrived = met
        delta = self.delta
        delta.claimed.append(numbers)
        delta.needed_until = max(delta.needed_until, arrived + self.longest_wait)
        self.books.feedback_waiting -= len(rows)
        self._take_feedback(rows, moment, facts)

    # -- feedback ---------------------------------------------------------------------------------

    def _take_feedback(self, rows: FeedbackRows, moment: int, facts: dict[str, ModelFacts]) -> None:
        places, code = self.waiting.index.locate(rows.ids, moment)
        first = int(code[0])
        if first >= 0 and (code == first).all():
            # Nearly always all feedback is about one model.
            self._match(self._by_code[first], rows, np.arange(len(rows)), places, facts)
            return
        present = [self._by_code[one] for one in np.unique(code).tolist() if one >= 0]
        for model in sorted(present, key=lambda model: model.kind.name):
            index = np.flatnonzero(code == model.kind.code)
            self._match(model, rows, index, places[index], facts)
        for i in np.flatnonzero(code == LATE).tolist():
            self.books.feedback_late += 1
            self.outputs += self._unmatched.truth("late", rows, i, moment)
        absent = np.flatnonzero(code == ABSENT)
        if len(absent):
            self._wait(detach(rows, absent), moment)

    def _match(
        self,
        model: ModelState,
        rows: FeedbackRows,
        index: Ints,
        places: Ints,
        facts: dict[str, ModelFacts],
    ) -> None:
        name = model.kind.name
        found = facts.setdefault(name, ModelFacts())
        verdict = self._matcher.apply(model, found, rows, index, places)
        topic = self._settings.pipeline.topics.name(FEEDBACK)
        for i, reason, detail in verdict.refused:
            raw = rows.raw[i]
            rejected = Rejected(reason, detail, raw.record, raw.row)
            self.outputs.append(to_output(raw.chunk, rejected, topic))
            self.quarantined[f"{FEEDBACK}:{reason}"] += 1
            self.books.feedback_quarantined += 1
        for i in verdict.conflicts:
            self.outputs += self._unmatched.truth("conflict", rows, i, self._moment, name)

    def _wait(self, rows: FeedbackRows, moment: int) -> None:
        number = self.early.add(rows, moment)
        self.books.feedback_waiting += len(rows)
        delta = self.delta
        delta.early.append(EarlyRecords(number, moment, rows.raw.chunks[0], rows.raw.row))
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
        unmet: list[tuple[int, int, int, str, str, int]] = []
        for page, rows in self.waiting.expire(moment):
            self.books.predictions_waiting -= len(rows)
            self.books.predictions_expired += len(rows)
            if tell and len(rows):
                unmet += self._unmet(page, rows)
        # In the order in which they fell due, so that it makes no difference how far time moved.
        unmet.sort()
        told = 0
        for arrived, orphans in self.early.expire(moment - self.longest_wait):
            count = len(orphans)
            self.books.feedback_waiting -= count
            self.books.feedback_orphan += count
            due = arrived + self.longest_wait
            behind = bisect.bisect_left(unmet, (due + 1,), lo=told)
            self._expired(unmet[told:behind])
            told = behind
            if "orphan" in self._unmatched.wanted:
                for i in range(count):
                    self.outputs += self._unmatched.truth("orphan", orphans, i, due)
        self._expired(unmet[told:])

    def _unmet(self, page: Page, rows: Ints) -> list[tuple[int, int, int, str, str, int]]:
        """What there is to tell of rows that expired: when, page and slot, model, id, time."""
        store, name = self.waiting.store, page.kind.name
        stamps = store.rows["ts"][rows].tolist()
        return [
            (ts + page.kind.horizon, page.number, row, name, store.id_bytes(row).decode(), ts)
            for row, ts in zip(rows.tolist(), stamps, strict=True)
        ]

    def _expired(self, unmet: list[tuple[int, int, int, str, str, int]]) -> None:
        for due, _, _, model, one, ts in unmet:
            self.outputs.append(self._unmatched.expired(model, one, ts, due))

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
