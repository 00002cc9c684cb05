"""The join: predictions and feedback of one partition in, partials out."""

from collections import Counter
from collections.abc import Collection, Mapping

from streams.config import Settings
from streams.config.windows import WindowConfig
from streams.core.join.books import Books
from streams.core.join.bundling import Bundler
from streams.core.join.memory import Memory
from streams.core.join.slices import Fed, slices_of
from streams.core.join.state import Marker
from streams.core.join.tick_join import FEEDBACK, PREDICTIONS, TickJoin
from streams.core.processor import Checkpoint, Saved
from streams.core.ticks import NEVER, TickMerge, TickSource
from streams.events.columns import FeedbackRows, PredictionRows
from streams.events.intake import Decoded, FeedbackIntake, PredictionIntake
from streams.wire import Chunk


class JoinProcessor:
    """Joins one partition of predictions with the same partition of feedback.

    Args:
        settings: the pipeline and its models.
        partition: number of the partition.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        topics, processing = settings.pipeline.topics, settings.pipeline.processing
        self._settings = settings
        self._tick_ms = settings.tick_ms
        self._predictions: TickSource[Fed] = TickSource()
        self._feedback: TickSource[Fed] = TickSource()
        self._sources = {PREDICTIONS: self._predictions, FEEDBACK: self._feedback}
        self._merge = TickMerge(
            (self._predictions, self._feedback), settings.tick_ms, processing.idle_timeout
        )
        self._prediction_intake = PredictionIntake(settings, topics.partitions)
        self._feedback_intake = FeedbackIntake(settings, topics.partitions)
        self._join = TickJoin(settings, partition)
        self._memory = Memory(self._join)
        self._bundler = Bundler(
            partition, topics.partitions, topics.monitor_partitions, settings.tick_ms
        )
        self._misplaced = 0
        self.misplaced_hint: str | None = None
        """What a producer should change so that its keys reach the right partition."""
        self._checkpoint = 0
        self._told_frontier = NEVER
        self._told_silence = False

    # -- what the edge calls --------------------------------------------------------------------

    def positions(self) -> Mapping[str, int]:
        """Offsets to read from next, per source; empty on a fresh processor."""
        return {
            name: position
            for name, source in self._sources.items()
            if (position := source.position()) is not None
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
        slices = slices_of(chunk, decoded, source.clock, self._tick_ms, self._merge.frontier)
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
        for name, model in self._join.models.items():
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
        return frozenset(
            name
            for name, source in self._sources.items()
            if source.pending_rows > limit and self._merge.ahead(source)
        )

    def awaited(self) -> bool:
        """Whether people wait for what the next checkpoint makes visible: only monitors do."""
        return False

    def checkpoint(self, now_ms: int) -> Checkpoint | None:
        """Everything since the last checkpoint; None when there is nothing to make durable."""
        self._take(self._merge.complete(now_ms))
        frontier = self._merge.frontier
        moved = self._known and frontier > self._told_frontier
        # A partition without events says so once, or the monitor would wait for it for ever.
        silent = not self._known and not self._told_silence and self._merge.idle(now_ms)
        if not (self._join.changed or moved or silent):
            return None
        self._checkpoint += 1
        ticks, outputs, delta = self._join.harvest()
        if self._known or silent:
            outputs += self._bundler.pack(ticks, frontier, self.books.snapshot())
        self._told_frontier = frontier
        self._told_silence = self._told_silence or silent
        state = self._memory.save(self._checkpoint, delta, frontier * self._tick_ms)
        positions = self.positions()
        store = self._join.waiting.store
        marker = Marker(
            sequence=self._bundler.sequence,
            checkpoint=self._checkpoint,
            frontier=frontier,
            clocks={name: source.taken_clock for name, source in self._sources.items()},
            positions=dict(positions),
            books=self.books.snapshot(),
            quarantined=dict(self._join.quarantined),
            accepted=self._prediction_intake.accepted_models(),
            early=self._join.early.next_number,
            next_page=store.next_page,
            open_pages=store.open_pages(),
        )
        return Checkpoint(positions, outputs, state, marker.encode())

    def restore(self, saved: Saved) -> None:
        """Take the state of a checkpoint; raises StateError where it cannot be read."""
        marker = Marker.decode(saved.marker)
        self._bundler.sequence = marker.sequence
        self._checkpoint = marker.checkpoint
        self._merge.frontier = self._told_frontier = marker.frontier
        self._prediction_intake.accept_models(marker.accepted)
        self._join.quarantined = Counter(marker.quarantined)
        self._join.take_books(Books.restore(marker.books))
        for name, source in self._sources.items():
            source.clock = source.taken_clock = marker.clocks[name]
            source.next_offset = marker.positions.get(name)
        moment = marker.frontier * self._tick_ms
        self._memory.restore(marker, saved.records, moment, self._feedback_intake)

    def status(self) -> Mapping[str, float]:
        """Figures for the pipeline's own health."""
        figures: dict[str, float] = dict(self._join.books.snapshot())
        figures |= {f"quarantined:{name}": n for name, n in self._join.quarantined.items()}
        figures["state_bytes"] = self._join.waiting.nbytes
        figures["state_rows"] = len(self._join.waiting.store)
        figures["buffered_rows"] = self._predictions.pending_rows + self._feedback.pending_rows
        figures["misplaced"] = self._misplaced
        if self._known:
            figures["watermark_timestamp_seconds"] = self._merge.frontier * self._tick_ms / 1000
        return figures

    @property
    def books(self) -> Books:
        """The balances as of the frontier."""
        return self._join.books

    @property
    def _known(self) -> bool:
        """Whether any event time is known."""
        return self._merge.frontier != NEVER

    def _take(self, until: int) -> None:
        for tick in self._merge.ready(until):
            self._join.take(
                tick,
                [part.payload for part in self._predictions.take(tick)],
                [part.payload for part in self._feedback.take(tick)],
            )
        if self._known:
            self._join.expire(self._merge.frontier * self._tick_ms)

    def _windows(self, name: str) -> tuple[WindowConfig, ...]:
        model = self._settings.models.get(name)
        return self._settings.pipeline.windows if model is None else model.windows
