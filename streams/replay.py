"""Replay: recorded events through the very processors that run live.

Events are dealt to partitions by their ids, as Kafka would, and fed in the order of their files.
What a window shows, and when an alert opens, depends on event time alone, so it is the same as it
was, or would have been, live.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from streams.config import Settings
from streams.core.join.tick_join import FEEDBACK, PREDICTIONS
from streams.core.partials import Bundle
from streams.core.processor import Checkpoint, Processor
from streams.events.partitioner import partition_for
from streams.pipeline import build_join, build_monitor
from streams.wire import Chunk, Output

Event = tuple[str, int, bytes]
"""Prediction id, event time in ms, and the event as JSON."""

CHUNK_ROWS = 5_000


@dataclass
class _Feed:
    """One file being read."""

    source: str
    events: Iterator[Event]
    clock: int = -1
    done: bool = False
    read: int = 0
    offsets: dict[int, int] = field(default_factory=dict)

    def chunks(self, partitions: int) -> dict[int, Chunk]:
        """Read on; gives a chunk for each partition that got events."""
        dealt: dict[int, Chunk] = {}
        count = 0
        for identity, ts, value in islice(self.events, CHUNK_ROWS):
            count += 1
            self.clock = max(self.clock, ts)
            key = identity.encode()
            partition = partition_for(key, partitions)
            chunk = dealt.get(partition)
            if chunk is None:
                chunk = dealt[partition] = Chunk(self.source, partition, [], [], [], [], [])
            offset = self.offsets.get(partition, 0)
            self.offsets[partition] = offset + 1
            chunk.offsets.append(offset)
            chunk.keys.append(key)
            chunk.values.append(value)
            # The record's own time bounds the event's; for recorded events they are the same.
            chunk.timestamps.append(ts)
            chunk.headers.append(())
        self.read += count
        self.done = count < CHUNK_ROWS
        return dealt


class Replay:
    """Runs files through join and monitor.

    Args:
        settings: the pipeline and its models.
        write: takes every output that is not for the pipeline itself, in order.
    """

    def __init__(self, settings: Settings, write: Callable[[Output], None]) -> None:
        topics = settings.pipeline.topics
        self._partitions = topics.partitions
        self._tick_ms = settings.tick_ms
        self._write = write
        self.joins = [build_join(settings, p) for p in range(topics.partitions)]
        self.monitors = [build_monitor(settings, p) for p in range(topics.monitor_partitions)]
        self._monitor_offsets = [0] * topics.monitor_partitions
        self._bundles = Counter[int]()
        """Bundles that each monitor got, by join partition: the last sequence number."""

    def run(
        self,
        predictions: Iterable[Event],
        feedback: Iterable[Event],
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Run everything, to the last label's horizon.

        Args:
            predictions: predictions in the order of their topic.
            feedback: truth likewise.
            progress: told the number of events read so far.
        """
        feeds = [_Feed(PREDICTIONS, iter(predictions)), _Feed(FEEDBACK, iter(feedback))]
        while True:
            reading = [feed for feed in feeds if not feed.done]
            if not reading:
                break
            # The file that is behind in event time is read on, so that little has to wait.
            feed = min(reading, key=lambda feed: feed.clock)
            for partition, chunk in sorted(feed.chunks(self._partitions).items()):
                self.joins[partition].step(chunk, 0)
            if feed.done:
                for join in self.joins:
                    join.end(feed.source)
            self._checkpoint()
            progress(sum(feed.read for feed in feeds))
        for monitor in self.monitors:
            monitor.end()
        for join in self.joins:
            join.finish()
        self._checkpoint()
        self._align()

    def _align(self) -> None:
        """Let all partitions end at one moment; one with few events or none ended early.

        Live, time goes on for partitions that fell silent. Here it ends with the files, and without
        this the monitor would wait for the partition that was silent first.
        """
        figures = [join.status() for join in self.joins]
        ends = [figure.get("watermark_timestamp_seconds", 0.0) for figure in figures]
        frontier = round(max(ends) * 1000) // self._tick_ms
        if not frontier:
            return
        for partition, join in enumerate(self.joins):
            bundle = Bundle(
                partition,
                self._partitions,
                self._bundles[partition] + 1,
                frontier,
                self._tick_ms,
                books=join.books.snapshot(),
            )
            key = str(partition).encode()
            for number in range(len(self.monitors)):
                self._feed_monitor(Output("partials", key, bundle.encode(), (), number))
        self._checkpoint()

    def _checkpoint(self) -> None:
        for join in self.joins:
            for output in _outputs(join):
                if output.topic == "partials":
                    self._feed_monitor(output)
                else:
                    self._write(output)
        for monitor in self.monitors:
            for output in _outputs(monitor):
                self._write(output)

    def _feed_monitor(self, output: Output) -> None:
        number = output.partition or 0
        if number == 0:
            # Every monitor gets every sequence number.
            self._bundles[int(output.key or b"")] += 1
        offset = self._monitor_offsets[number]
        self._monitor_offsets[number] += 1
        chunk = Chunk(
            "partials", number, [offset], [output.key], [output.value], [-1], [output.headers]
        )
        self.monitors[number].step(chunk, 0)


def _outputs(processor: Processor) -> list[Output]:
    checkpoint: Checkpoint | None = processor.checkpoint(0)
    return [] if checkpoint is None else checkpoint.outputs
