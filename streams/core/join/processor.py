"""The join: predictions and feedback of one partition in, partials out."""

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.config import LoadedModel, Settings
from streams.config.model import unknown_model
from streams.config.windows import WindowConfig
from streams.core.join.books import Books
from streams.core.join.early import EarlyTruth, detach, raw_of
from streams.core.join.facts import ModelFacts
from streams.core.join.index import ABSENT, hash_ids
from streams.core.join.matcher import Changes, Matcher
from streams.core.join.pages import (
    LABELLED,
    MATCHED,
    PAGE_BITS,
    PAGE_ROWS,
    NewRows,
)
from streams.core.join.reduce_facts import error_series, reduce_facts
from streams.core.join.reduce_predictions import reduce_predictions
from streams.core.join.state import Delta, EarlyRecord, Marker, NewPage
from streams.core.join.waiting import ModelState, Waiting
from streams.core.partials import Bundle, ModelNews
from streams.core.processor import Checkpoint, Saved, StateRecord
from streams.core.ticks import NEVER, Slice, TickMerge, TickSource, cut
from streams.events.columns import FeedbackRows, PredictionBlock, PredictionRows
from streams.events.intake import Decoded, FeedbackIntake, PredictionIntake
from streams.events.partitioner import partition_for
from streams.events.quarantine import to_output, to_outputs
from streams.events.reasons import Rejected
from streams.payloads import Unmatched, encode, join_id, rfc3339
from streams.wire import Chunk, Output

Ints = NDArray[np.int64]

PREDICTIONS = "predictions"
FEEDBACK = "feedback"
GROUPS = "groups"
LARGEST_BUNDLE = 700_000
"""Bundles are cut below this many bytes, so that a record fits Kafka's default limits."""


@dataclass(slots=True)
class Fed:
    """Records of one tick and source; ``chunk`` is kept for what was rejected."""

    rows: PredictionRows | FeedbackRows
    rejected: list[Rejected]
    chunk: Chunk | None


@dataclass(slots=True)
class _News:
    """What the processor has found out since the last checkpoint."""

    ticks: list[tuple[int, dict[str, ModelNews]]] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    delta: Delta = field(default_factory=Delta)


class JoinProcessor:
    """Joins one partition of predictions with the same partition of feedback.

    Args:
        settings: the pipeline and its models.
        partition: number of the partition.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        pipeline = settings.pipeline
        self._settings = settings
        self._partition = partition
        self._partitions = pipeline.topics.partitions
        self._tick_ms = settings.tick_ms
        self._publish_unmatched = pipeline.sinks.publish_unmatched
        self._predictions: TickSource[Fed] = TickSource()
        self._feedback: TickSource[Fed] = TickSource()
        self._merge: TickMerge = TickMerge(
            (self._predictions, self._feedback),
            settings.tick_ms,
            pipeline.processing.idle_timeout,
        )
        self._prediction_intake = PredictionIntake(settings, self._partitions)
        self._feedback_intake = FeedbackIntake(settings, self._partitions)
        self._models = {name: ModelState(model) for name, model in settings.models.items()}
        # The same for all truth, as nobody knows which model it is about; and from the start, as
        # what is saved says until when it is needed.
        waits = [model.config.truth_wait for model in settings.models.values()]
        if pipeline.processing.unknown_models == "accept":
            waits.append(unknown_model("").truth_wait)
        self._longest_wait = max(waits, default=0)
        self._waiting = Waiting()
        self._early = EarlyTruth()
        self._books = Books()
        self._quarantined: Counter[str] = Counter()
        self._misplaced = 0
        self.misplaced_hint: str | None = None
        """What a producer should change so that its keys reach the right partition."""
        self._sequence = 0
        self._checkpoint = 0
        self._told_frontier = NEVER
        self._told_silence = False
        self._needed: dict[str, int] = {}
        self._saved_groups: Counter[str] = Counter()
        self._changes = Changes()
        self._news = _News()
        self._matcher = Matcher(self._waiting, self._books, self._changes)
        self._moment = 0

    # -- what the edge calls --------------------------------------------------------------------

    def positions(self) -> Mapping[str, int]:
        """Offsets to read from next, per source; empty on a fresh processor."""
        named = ((PREDICTIONS, self._predictions), (FEEDBACK, self._feedback))
        return {
            name: position for name, source in named if (position := source.position()) is not None
        }

    def step(self, chunk: Chunk, now_ms: int) -> None:
        """Take records of the predictions or the feedback topic."""
        if not len(chunk):
            return
        decoded: Decoded[PredictionRows] | Decoded[FeedbackRows]
        if chunk.source == PREDICTIONS:
            source = self._predictions
            decoded = self._prediction_intake.decode(chunk, source.clock, now_ms)
        elif chunk.source == FEEDBACK:
            source = self._feedback
            decoded = self._feedback_intake.decode(chunk, source.clock, now_ms)
        else:
            raise ValueError(f"the join does not read {chunk.source!r}")
        if decoded.misplaced:
            self._misplaced += decoded.misplaced
            self.misplaced_hint = decoded.misplaced_hint
        slices = self._slices(chunk, decoded, source.clock)
        heard = len(decoded.rows) > 0
        source.feed(slices, chunk.offsets[-1] + 1, now_ms, heard=heard)
        self._take(self._merge.complete(now_ms))

    def advance(self, now_ms: int, behind: Collection[str] = ()) -> None:
        """Take all ticks that are complete at a moment of wall clock."""
        self._predictions.behind = PREDICTIONS in behind
        self._feedback.behind = FEEDBACK in behind
        self._take(self._merge.complete(now_ms))

    def end(self, source: str) -> None:
        """Note that a source will hold nothing more (replay)."""
        (self._predictions if source == PREDICTIONS else self._feedback).ended = True
        self.advance(0)

    def finish(self) -> None:
        """Take what is left, and let event time pass until nothing waits any more (replay)."""
        sources = (self._predictions, self._feedback)
        last = max(source.clock for source in sources) // self._tick_ms
        # What came after its tick had been closed waits in a later one.
        last = max([last, *(source.pending[-1].tick for source in sources if source.pending)])
        self._take(last + 1)
        if not self._known:
            return
        longest = 0
        for name, model in self._models.items():
            config = model.config
            windows = self._windows(name)
            longest = max(
                longest,
                model.retention
                + config.truth_wait
                + config.allowed_lateness
                + config.out_of_orderness
                + max(window.size for window in windows),
            )
        self._take(self._merge.frontier + longest // self._tick_ms + 2)

    def paused(self) -> frozenset[str]:
        """Sources so far ahead of the other that they should not be fed for now."""
        limit = self._settings.pipeline.processing.max_buffered_rows
        named = ((PREDICTIONS, self._predictions), (FEEDBACK, self._feedback))
        return frozenset(
            name
            for name, source in named
            if source.pending_rows > limit and self._merge.ahead(source)
        )

    def checkpoint(self, now_ms: int) -> Checkpoint | None:
        """Everything since the last checkpoint; None when there is nothing to make durable."""
        self._take(self._merge.complete(now_ms))
        news, frontier = self._news, self._merge.frontier
        delta = self._delta()
        known = self._known
        moved = known and frontier > self._told_frontier
        # A partition without events says so once, or the monitor would wait for it for ever.
        silent = not known and not self._told_silence and self._merge.idle(now_ms)
        if not (news.ticks or news.outputs or delta or moved or silent):
            return None
        self._news = _News()
        self._checkpoint += 1
        outputs = news.outputs
        if known or silent:
            outputs += self._bundles(news.ticks, frontier)
        self._told_frontier = frontier
        self._told_silence = self._told_silence or silent
        state = []
        if delta:
            name = f"delta-{self._checkpoint:012d}"
            state.append(StateRecord(name, delta.encode()))
            self._needed[name] = delta.needed_until
        moment = frontier * self._tick_ms
        for name in [n for n, until in self._needed.items() if until < moment]:
            del self._needed[name]
            state.append(StateRecord(name, None))
        if any(len(model.groups) > self._saved_groups[n] for n, model in self._models.items()):
            state.append(self._groups_record())
        positions = self.positions()
        marker = Marker(
            sequence=self._sequence,
            checkpoint=self._checkpoint,
            frontier=frontier,
            clocks={
                PREDICTIONS: self._predictions.taken_clock,
                FEEDBACK: self._feedback.taken_clock,
            },
            positions=dict(positions),
            books=self._books.snapshot(),
            quarantined=dict(self._quarantined),
            accepted=self._prediction_intake.accepted_models(),
            early=self._early.next_number,
            next_page=self._waiting.store.next_page,
            open_pages=self._waiting.store.open_pages(),
        )
        return Checkpoint(positions, outputs, state, marker.encode())

    def restore(self, saved: Saved) -> None:
        """Take the state of a checkpoint; raises StateError where it cannot be read."""
        marker = Marker.decode(saved.marker)
        self._sequence = marker.sequence
        self._checkpoint = marker.checkpoint
        self._merge.frontier = self._told_frontier = marker.frontier
        self._quarantined = Counter(marker.quarantined)
        self._prediction_intake.accept_models(marker.accepted)
        self._books = Books.restore(marker.books)
        self._matcher = Matcher(self._waiting, self._books, self._changes)
        for name, source in ((PREDICTIONS, self._predictions), (FEEDBACK, self._feedback)):
            source.clock = source.taken_clock = marker.clocks[name]
            source.next_offset = marker.positions.get(name)
        for name, data in saved.records.items():
            if name.startswith(GROUPS):
                self._restore_groups(data)
        self._early.next_number = marker.early
        claimed: set[int] = set()
        early: list[EarlyRecord] = []
        for name, data in saved.records.items():
            if not name.startswith(GROUPS):
                delta = Delta.decode(name, data)
                self._needed[name] = delta.needed_until
                self._apply(delta)
                claimed.update(delta.claimed)
                early += delta.early
        self._waiting.store.reopen(marker.open_pages, marker.next_page)
        moment = marker.frontier * self._tick_ms
        given_up = moment - self._longest_wait
        self._restore_early(
            [one for one in early if one.number not in claimed and one.arrived >= given_up]
        )
        for page in self._waiting.store.pages.values():
            page.expire(moment - self._model(page.model).horizon)
        self._settle()

    def status(self) -> Mapping[str, float]:
        """Figures for the pipeline's own health."""
        pages = self._waiting.store.pages.values()
        figures: dict[str, float] = dict(self._books.snapshot())
        figures |= {f"quarantined:{name}": n for name, n in self._quarantined.items()}
        figures["state_bytes"] = (
            sum(page.nbytes + page.id_nbytes for page in pages) + self._waiting.index.nbytes
        )
        figures["state_rows"] = sum(page.used for page in pages)
        figures["buffered_rows"] = self._predictions.pending_rows + self._feedback.pending_rows
        figures["misplaced"] = self._misplaced
        if self._known:
            figures["watermark_timestamp_seconds"] = self._merge.frontier * self._tick_ms / 1000
        return figures

    @property
    def books(self) -> Books:
        """The balances as of the frontier."""
        return self._books

    @property
    def _known(self) -> bool:
        """Whether any event time is known."""
        return self._merge.frontier != NEVER

    # -- from records to ticks --------------------------------------------------------------------

    def _slices(
        self, chunk: Chunk, decoded: Decoded[PredictionRows] | Decoded[FeedbackRows], carry: int
    ) -> list[Slice[Fed]]:
        rows = decoded.rows
        offsets = np.array(chunk.offsets, dtype=np.int64)
        record = np.searchsorted(offsets, rows.offset)
        # The clock once each record is counted in; a record without rows leaves it as it was.
        clock = np.full(len(offsets), carry, dtype=np.int64)
        clock[record] = rows.clock
        clock = np.maximum.accumulate(clock)
        ticks = np.maximum(clock // self._tick_ms, self._merge.frontier)
        rejected = np.array([one.record for one in decoded.rejected], dtype=np.int64)
        slices = []
        for start, stop in cut(ticks):
            low, high = np.searchsorted(record, (start, stop)).tolist()
            bad_low, bad_high = np.searchsorted(rejected, (start, stop)).tolist()
            behind = chunk.offsets[stop] if stop < len(offsets) else chunk.offsets[-1] + 1
            bad = decoded.rejected[bad_low:bad_high]
            fed = Fed(rows.slice(low, high), bad, chunk if bad else None)
            slices.append(
                Slice(
                    int(ticks[start]),
                    chunk.offsets[start],
                    behind,
                    int(clock[stop - 1]),
                    high - low + len(bad),
                    fed,
                )
            )
        return slices

    def _take(self, until: int) -> None:
        # Squares of numbers near the end of the range are infinite, and may be.
        with np.errstate(over="ignore", invalid="ignore"):
            for tick in self._merge.ready(until):
                self._tick(tick)
        if self._known:
            self._expire(self._merge.frontier * self._tick_ms)

    def _tick(self, tick: int) -> None:
        moment = tick * self._tick_ms
        self._expire(moment)
        facts: dict[str, ModelFacts] = {}
        news: dict[str, ModelNews] = {}
        predictions = [part.payload for part in self._predictions.take(tick)]
        feedback = [part.payload for part in self._feedback.take(tick)]
        self._quarantine(predictions, PREDICTIONS)
        self._quarantine(feedback, FEEDBACK)
        rows = PredictionRows.concat([f.rows for f in predictions])  # type: ignore[misc]  # by source
        self._books.predictions_in += len(rows)
        for block in sorted(rows.blocks, key=lambda block: block.model):
            self._take_predictions(block, moment, news, facts)
        labels = FeedbackRows.concat([f.rows for f in feedback])  # type: ignore[misc]  # by source
        self._books.feedback_in += len(labels)
        if len(labels):
            self._take_feedback(labels, moment, facts)
        for name, found in sorted(facts.items()):
            self._reduce(name, found, moment, news)
        if news:
            self._news.ticks.append((tick, news))

    def _quarantine(self, fed: list[Fed], source: str) -> None:
        topic = self._settings.pipeline.topics.name(source)
        for part in fed:
            if part.chunk is None:
                continue
            self._news.outputs += to_outputs(part.chunk, part.rejected, topic)
            self._quarantined.update(f"{source}:{rejected.reason}" for rejected in part.rejected)
            count = len(part.rejected)
            if source == PREDICTIONS:
                self._books.predictions_in += count
                self._books.predictions_quarantined += count
            else:
                self._books.feedback_in += count
                self._books.feedback_quarantined += count

    # -- predictions ------------------------------------------------------------------------------

    def _take_predictions(
        self,
        block: PredictionBlock,
        moment: int,
        news: dict[str, ModelNews],
        facts: dict[str, ModelFacts],
    ) -> None:
        model = self._model(block.model)
        hashes = hash_ids(block.ids)
        known = self._waiting.find(block.ids, hashes)
        duplicate = self._waiting.repeats(block.ids, hashes)
        held = np.flatnonzero(known != ABSENT)
        if len(held):
            duplicate[held] |= self._remembered(known[held], moment)
        if duplicate.any():
            self._books.predictions_duplicate += int(duplicate.sum())
            fresh = np.flatnonzero(~duplicate)
            block, hashes = block.take(fresh, block.rows[fresh]), hashes[fresh]
        if not len(block):
            return
        group = model.groups.assign(block)
        score = block.score if model.score_width else None
        rows = NewRows(block.ids, block.ts, group, block.predicted, score, block.ranking)
        _, placed = self._waiting.add(block.model, model.score_width, rows, hashes)
        self._books.predictions_waiting += len(block)
        delta = self._news.delta
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
        for _, page, positions, slots in self._waiting.store.by_page(handles):
            kept[positions] = page.ts[slots] + self._model(page.model).retention >= moment
        return kept

    def _meet_early(self, ids: list[str], moment: int, facts: dict[str, ModelFacts]) -> None:
        met = self._early.claim(ids)
        if not met:
            return
        delta = self._news.delta
        delta.claimed += [early.number for early in met]
        delta.needed_until = max(delta.needed_until, met[-1].arrived + self._longest_wait)
        self._books.feedback_waiting -= len(met)
        rows = FeedbackRows.concat([early.row for early in met])
        self._take_feedback(rows, moment, facts)

    # -- feedback ---------------------------------------------------------------------------------

    def _take_feedback(self, rows: FeedbackRows, moment: int, facts: dict[str, ModelFacts]) -> None:
        handles = self._waiting.find(rows.ids, hash_ids(rows.ids))
        found = np.flatnonzero(handles != ABSENT)
        by_model: dict[str, list[Ints]] = {}
        late = []
        absent = np.ones(len(rows), dtype=np.bool_)
        for _, page, positions, slots in self._waiting.store.by_page(handles[found]):
            model = self._model(page.model)
            age = moment - page.ts[slots]
            absent[found[positions[age <= model.retention]]] = False
            late.append(found[positions[(age > model.horizon) & (age <= model.retention)]])
            by_model.setdefault(page.model, []).append(found[positions[age <= model.horizon]])
        for name, parts in sorted(by_model.items()):
            index = np.sort(np.concatenate(parts))
            if len(index):
                self._match(name, rows, index, handles[index], facts)
        for i in sorted(i for part in late for i in part.tolist()):
            self._books.feedback_late += 1
            self._unmatched("late", rows, i, moment)
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
        model = self._model(name)
        found = facts.setdefault(name, ModelFacts())
        verdict = self._matcher.apply(model, found, rows, index, handles)
        topic = self._settings.pipeline.topics.name(FEEDBACK)
        for i, reason, detail in verdict.refused:
            raw = rows.raw[i]
            rejected = Rejected(reason, detail, raw.record, raw.row)
            self._news.outputs.append(to_output(raw.chunk, rejected, topic))
            self._quarantined[f"{FEEDBACK}:{reason}"] += 1
            self._books.feedback_quarantined += 1
        for i in verdict.conflicts:
            self._unmatched("conflict", rows, i, self._moment, name)

    def _wait(self, row: FeedbackRows, moment: int) -> None:
        early = self._early.add(row, moment)
        self._books.feedback_waiting += 1
        delta = self._news.delta
        delta.early.append(EarlyRecord(early.number, moment, early.chunk, early.batch_row))
        delta.needed_until = max(delta.needed_until, moment + self._longest_wait)

    def _reduce(
        self, name: str, found: ModelFacts, moment: int, news: dict[str, ModelNews]
    ) -> None:
        model = self._model(name)
        table = reduce_facts(model.layout, found, model.groups, moment)
        if table is None:
            return
        item = self._news_of(news, name, model)
        item.quality = table
        item.last_label = found.last_label
        if "error" in model.series:
            item.runs["error"] = error_series(model.layout, found)

    # -- time -------------------------------------------------------------------------------------

    def _expire(self, moment: int) -> None:
        self._moment = moment
        tell = "expired" in self._publish_unmatched
        unmet: list[tuple[int, int, int]] = []
        gone = []
        for number, page in self._waiting.store.pages.items():
            model = self._model(page.model)
            slots = page.expire(moment - model.horizon)
            if len(slots):
                slots = slots[(page.flags[slots] & MATCHED) == 0]
                self._books.predictions_waiting -= len(slots)
                self._books.predictions_expired += len(slots)
                if tell:
                    due = (page.ts[slots] + model.horizon).tolist()
                    unmet += zip(due, itertools.repeat(number), slots.tolist())
            if page.newest + model.retention < moment:
                gone.append(number)
        orphans = self._early.expire(moment - self._longest_wait)
        self._books.feedback_waiting -= len(orphans)
        self._books.feedback_orphan += len(orphans)
        # In the order in which they fell due, so that it makes no difference how far time moved.
        unmet.sort()
        for early in orphans:
            due = early.arrived + self._longest_wait
            behind = bisect.bisect_left(unmet, (due + 1,))
            for one in unmet[:behind]:
                self._expired(*one)
            del unmet[:behind]
            self._unmatched("orphan", early.row, 0, due)
        for one in unmet:
            self._expired(*one)
        for number in gone:
            self._waiting.drop(number)

    def _expired(self, due: int, number: int, slot: int) -> None:
        page = self._waiting.store.pages[number]
        one, ts = page.id_bytes(slot).decode(), int(page.ts[slot])
        self._publish(
            Unmatched(
                id=join_id(["expired", str(self._partition), one, str(ts)]),
                reason="expired",
                prediction_id=one,
                timestamp=rfc3339(ts),
                at=rfc3339(due),
                model=page.model,
            )
        )

    # -- outputs ----------------------------------------------------------------------------------

    def _unmatched(
        self,
        reason: Literal["late", "orphan", "conflict"],
        rows: FeedbackRows,
        i: int,
        at: int,
        model: str | None = None,
    ) -> None:
        if reason not in self._publish_unmatched:
            return
        raw = rows.raw[i]
        offset = raw.chunk.offsets[raw.record]
        row = "" if raw.row is None else str(raw.row)
        number, text = float(rows.number[i]), int(rows.text.codes[i])
        self._publish(
            Unmatched(
                id=join_id([reason, str(self._partition), str(offset), row]),
                reason=reason,
                prediction_id=rows.ids[i],
                timestamp=rfc3339(int(rows.ts[i])),
                at=rfc3339(at),
                model=model,
                actual=rows.text.values[text]
                if text >= 0
                else (None if math.isnan(number) else number),
            )
        )

    def _publish(self, payload: Unmatched) -> None:
        self._news.outputs.append(
            Output(
                "unmatched",
                payload.prediction_id.encode(),
                encode(payload),
                (("driftline.id", payload.id.encode()),),
            )
        )

    def _bundles(
        self, ticks: list[tuple[int, dict[str, ModelNews]]], frontier: int
    ) -> list[Output]:
        monitors = self._settings.pipeline.topics.monitor_partitions
        outputs = []
        parts: list[list[tuple[int, dict[str, ModelNews]]]] = [[] for _ in range(monitors)]
        for tick, models in ticks:
            split: dict[int, dict[str, ModelNews]] = {}
            for name, news in models.items():
                split.setdefault(partition_for(name.encode(), monitors), {})[name] = news
            for monitor, mine in split.items():
                parts[monitor].append((tick, mine))
        sent = [self._encoded(mine, frontier) for mine in parts]
        # Every monitor sees every sequence number, so that a gap means a loss.
        longest = max(len(bundles) for bundles in sent)
        for monitor, bundles in enumerate(sent):
            padding = [Bundle(self._partition, self._partitions, 0, frontier, self._tick_ms)] * (
                longest - len(bundles)
            )
            for i, bundle in enumerate([*bundles, *padding], 1):
                bundle.sequence = self._sequence + i
                bundle.books = self._books.snapshot()
                identity = f"partials-{self._partition}-{monitor}-{bundle.sequence}"
                outputs.append(
                    Output(
                        "partials",
                        str(self._partition).encode(),
                        bundle.encode(),
                        (("driftline.id", identity.encode()),),
                        monitor,
                    )
                )
        self._sequence += longest
        return outputs

    def _encoded(
        self, ticks: list[tuple[int, dict[str, ModelNews]]], frontier: int
    ) -> list[Bundle]:
        """Cut ticks into bundles of bearable size."""
        bundle = Bundle(self._partition, self._partitions, 0, frontier, self._tick_ms, ticks)
        if len(ticks) <= 1 or len(bundle.encode()) <= LARGEST_BUNDLE:
            return [bundle]
        middle = len(ticks) // 2
        first, second = ticks[:middle], ticks[middle:]
        return [*self._encoded(first, second[0][0]), *self._encoded(second, frontier)]

    # -- state ------------------------------------------------------------------------------------

    def _delta(self) -> Delta:
        delta = self._news.delta
        if self._changes:
            delta.changes = self._changes.take()
            delta.needed_until = max(delta.needed_until, delta.changes.needed_until)
        return delta

    def _groups_record(self) -> StateRecord:
        added = {}
        for name, model in self._models.items():
            if len(model.groups) > self._saved_groups[name]:
                added[name] = model.groups.added_since(self._saved_groups[name])
                self._saved_groups[name] = len(model.groups)
        return StateRecord(f"{GROUPS}-{self._checkpoint:012d}", msgspec.msgpack.encode(added))

    def _restore_groups(self, data: bytes) -> None:
        for name, members in msgspec.msgpack.decode(data).items():
            model = self._model(name)
            model.groups.restore(members)
            self._saved_groups[name] = len(model.groups)

    def _apply(self, delta: Delta) -> None:
        waiting = self._waiting
        for part in delta.rows:
            waiting.put_back(part.page, part.start, part.model, part.score_width, part.rows)
        for change in delta.changes.labels:
            there = np.flatnonzero(waiting.store.holds(change.handles))
            for _, page, positions, slots in waiting.store.by_page(change.handles[there]):
                page.label[slots] = change.label[there[positions]]
                page.label_ts[slots] = change.label_ts[there[positions]]
                page.flags[slots] |= LABELLED | MATCHED
        for handle, key in delta.changes.outcomes:
            if waiting.store.slot_in_use(handle):
                page = waiting.store.pages[handle >> PAGE_BITS]
                slot = handle & (PAGE_ROWS - 1)
                page.outcomes[slot] |= 1 << key[0]
                page.flags[slot] |= MATCHED
                waiting.extras.outcomes.setdefault(handle, set()).add(key)
        for handle, weight in delta.changes.weights.items():
            if waiting.store.slot_in_use(handle):
                waiting.extras.weights[handle] = weight
        for handle, gains in delta.changes.gains.items():
            if waiting.store.slot_in_use(handle):
                waiting.extras.gains[handle] = gains

    def _restore_early(self, records: list[EarlyRecord]) -> None:
        for one in sorted(records, key=lambda one: one.number):
            rows = self._feedback_intake.decode(one.record, NEVER, one.record.timestamps[0]).rows
            if len(rows):
                rows.raw = raw_of(one.record, one.batch_row)
                self._early.add(rows, one.arrived, one.number)

    def _settle(self) -> None:
        """Balance the books where horizons were configured anew since they were written."""
        books = self._books
        waiting = sum(page.waiting() for page in self._waiting.store.pages.values())
        books.predictions_expired += books.predictions_waiting - waiting
        books.predictions_waiting = waiting
        books.feedback_orphan += books.feedback_waiting - len(self._early)
        books.feedback_waiting = len(self._early)

    def _windows(self, name: str) -> tuple[WindowConfig, ...]:
        model = self._settings.models.get(name)
        return self._settings.pipeline.windows if model is None else model.windows

    def _model(self, name: str) -> ModelState:
        state = self._models.get(name)
        if state is None:
            # A model that no file describes, let in because the configuration says so.
            loaded = LoadedModel(unknown_model(name), self._settings.pipeline.windows)
            state = self._models[name] = ModelState(loaded)
        return state

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
