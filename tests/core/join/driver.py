"""Feeds a join by hand, as the edge would, with a dictionary for a state topic."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.join.topics import START, Record

from streams.config import Settings
from streams.core.join.processor import JoinProcessor
from streams.core.join.tick_join import FEEDBACK, PREDICTIONS
from streams.core.partials import Bundle, Cell, CellKey, add_table
from streams.core.processor import Checkpoint, Saved
from streams.wire import Chunk, Output

Topics = dict[str, list[Record]]


def chunk_of(source: str, records: Sequence[Record]) -> Chunk:
    """Records as the transport hands them over."""
    n = len(records)
    return Chunk(
        source,
        0,
        [r.offset for r in records],
        [b"k"] * n,
        [r.value or None for r in records],
        [START + 60_000] * n,
        [()] * n,
    )


@dataclass
class StateTopic:
    """What is durable; deletions take effect with the next checkpoint where ``lazy``."""

    lazy: bool = False
    marker: bytes | None = None
    positions: dict[str, int] = field(default_factory=dict)
    records: dict[str, bytes] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    doomed: list[str] = field(default_factory=list)

    def write(self, checkpoint: Checkpoint) -> None:
        for name in self.doomed:
            self.records.pop(name, None)
        self.doomed = []
        for record in checkpoint.state:
            if record.value is None:
                assert record.name in self.written
                self.doomed.append(record.name)
            else:
                assert record.name not in self.written, "names are written once"
                self.written.add(record.name)
                self.records[record.name] = record.value
        if not self.lazy:
            for name in self.doomed:
                del self.records[name]
            self.doomed = []
        self.marker = checkpoint.marker
        self.positions = dict(checkpoint.positions)


@dataclass
class Run:
    """A partition's life: a join that may die at any moment, and what became visible of it."""

    settings: Settings
    topics: Topics
    state: StateTopic = field(default_factory=StateTopic)
    outputs: list[Output] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.join = JoinProcessor(self.settings, 0)
        if self.state.marker is not None:
            # A repaired record has moved to the end of the log: any order must do.
            records = dict(reversed(self.state.records.items()))
            self.join.restore(Saved(self.state.marker, records))
            assert dict(self.join.positions()) == self.state.positions
        self.next = {
            source: sum(r.offset < self.state.positions.get(source, 0) for r in records)
            for source, records in self.topics.items()
        }

    def feed(self, source: str, count: int) -> None:
        start = self.next[source]
        records = self.topics[source][start : start + count]
        if records:
            self.join.step(chunk_of(source, records), 0)
            self.next[source] = start + len(records)
        self.check()

    def check(self) -> None:
        books = self.join.books
        assert books.difference() == (0, 0)
        assert books.predictions_waiting >= 0
        assert books.feedback_waiting >= 0

    def checkpoint(self) -> None:
        done = self.join.checkpoint(0)
        if done is not None:
            self.outputs += done.outputs
            self.state.write(done)
        self.check()

    def finish(self) -> None:
        for source, records in self.topics.items():
            self.feed(source, len(records))
        self.join.finish()
        self.checkpoint()

    def told(self) -> dict[str, list[object]]:
        """Everything that left, apart from how news was cut into bundles."""
        left: dict[str, list[object]] = {}
        sequences: dict[int | None, int] = {}
        frontiers: dict[int | None, int] = {}
        for output in self.outputs:
            if output.topic != "partials":
                left.setdefault(output.topic, []).append(output)
                continue
            bundle = Bundle.decode(output.value)
            monitor = output.partition
            assert bundle.sequence == sequences.get(monitor, 0) + 1
            sequences[monitor] = bundle.sequence
            assert bundle.frontier >= frontiers.get(monitor, 0)
            for tick, _ in bundle.ticks:
                assert frontiers.get(monitor, 0) <= tick < bundle.frontier
            frontiers[monitor] = bundle.frontier
            for tick in bundle.ticks:
                alone = Bundle(0, 1, 0, 0, bundle.tick_ms, [tick]).encode()
                left.setdefault(f"partials-{monitor}", []).append(alone)
        return left

    def cells(self) -> dict[tuple[str, str], dict[CellKey, Cell]]:
        """All cells, by kind and model."""
        found: dict[tuple[str, str], dict[CellKey, Cell]] = {}
        for output in self.outputs:
            if output.topic != "partials":
                continue
            for _, models in Bundle.decode(output.value).ticks:
                for model, news in models.items():
                    for kind in ("traffic", "inputs", "quality"):
                        table = getattr(news, kind)
                        if table is not None:
                            mine = found.setdefault((kind, model), {})
                            for _ in add_table(
                                table, lambda k, mine=mine: mine.setdefault(k, Cell())
                            ):
                                pass
        return found

    def runs(self) -> dict[tuple[str, str], list[float]]:
        """Series of the sequential detectors, by model and name."""
        found: dict[tuple[str, str], list[float]] = {}
        for output in self.outputs:
            if output.topic == "partials":
                for _, models in Bundle.decode(output.value).ticks:
                    for model, news in models.items():
                        for name, values in news.runs.items():
                            found.setdefault((model, name), []).extend(values.tolist())
        return {key: values for key, values in found.items() if values}


def straight(settings: Settings, predictions: list[Record], feedback: list[Record]) -> Run:
    """A life without incidents, in as few steps as can be."""
    run = Run(settings, {PREDICTIONS: predictions, FEEDBACK: feedback})
    run.finish()
    return run
