"""One stage at work: the processors of the partitions that this worker has been given."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from streams.core.processor import Checkpoint, Processor
from streams.edge.checkpoint import Committer
from streams.edge.delivery import Delivery, TopicPartition, drop_before
from streams.edge.errors import LedgerError, StateError, TopicError
from streams.edge.ledger import OffsetLedger, Verdict
from streams.edge.saved import Restored
from streams.edge.status import PartitionStatus, SourceStatus

Build = Callable[[int], Processor]


@dataclass(slots=True)
class Slot:
    """A processor with what the edge knows of it.

    Attributes:
        partition: number of its partition.
        processor: does the work.
        tps: its source partitions, by logical name.
        epoch: number of its last checkpoint.
        restored_records: state records that it started from.
        generation: of the group, in which the partition was last this worker's.
        parked: whether it was revoked since, with everything durable.
        checkpointing: the checkpoint that is under way.
        due: monotonic time of the next checkpoint.
        durable_at: monotonic time when everything processed was last known to be durable.
        duration: seconds that the last checkpoint took.
        checkpoints: checkpoints so far.
        consumed: records given to the processor, by source.
        lost: offsets that retention removed before they were read, by source.
    """

    partition: int
    processor: Processor
    tps: dict[str, TopicPartition]
    epoch: int
    restored_records: int
    generation: int
    parked: bool = False
    checkpointing: asyncio.Task[None] | None = None
    due: float = 0.0
    durable_at: float = field(default_factory=time.monotonic)
    duration: float | None = None
    checkpoints: int = 0
    consumed: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def sources(self) -> dict[TopicPartition, str]:
        """Logical names by source partition."""
        return {tp: source for source, tp in self.tps.items()}


class Stage:
    """The processors of one stage."""

    def __init__(
        self,
        name: str,
        topics: Mapping[str, str],
        build: Build,
        committer: Committer,
        ledger: OffsetLedger,
    ) -> None:
        """Keep the collaborators.

        Args:
            name: "join" or "monitor".
            topics: source topics by logical name.
            build: makes a fresh processor for a partition.
            committer: makes checkpoints durable.
            ledger: the books on offsets, shared by all stages.
        """
        self.name = name
        self.topics = dict(topics)
        self.slots: dict[int, Slot] = {}
        self._build = build
        self._committer = committer
        self._ledger = ledger

    def partitions(self, assigned: Iterable[TopicPartition]) -> set[int]:
        """Work out which partitions of the stage an assignment means.

        Raises:
            TopicError: a partition's sources are not all there.
        """
        found: dict[int, set[str]] = {}
        names = {topic: source for source, topic in self.topics.items()}
        for topic, partition in assigned:
            if topic in names:
                found.setdefault(partition, set()).add(names[topic])
        for partition, sources in found.items():
            missing = sorted(set(self.topics) - sources)
            if missing:
                raise TopicError(
                    f"this worker was given partition {partition} of {sorted(sources)} without "
                    f"that of {missing}; they can only be joined on one worker. Give the topics "
                    f"{sorted(self.topics.values())} the same number of partitions, and let no "
                    "other program join the consumer group"
                )
        return set(found)

    @property
    def fences(self) -> bool:
        """Whether former owners of a partition are kept from writing."""
        return self._committer.fences

    async def prepare(self, partition: int) -> None:
        """Become the only one who can write a partition's state; before it is read."""
        await self._committer.prepare(partition)

    def keep(self, partitions: set[int], generation: int) -> set[int]:
        """Drop what is not wanted any more and return what has to be restored.

        A parked processor goes on when its partition came back in the very next generation of the
        group: nobody else can have had it in between.

        Args:
            partitions: what the stage has been given.
            generation: of the group, which grows with each sharing out.
        """
        for partition, slot in list(self.slots.items()):
            unbroken = slot.generation + 1 if slot.parked else slot.generation
            if unbroken == generation and partition in partitions:
                slot.generation, slot.parked = generation, False
            else:
                self.drop(partition)
        return partitions - set(self.slots)

    def drop(self, partition: int) -> None:
        """Forget a partition; a checkpoint under way, unless it does so itself, is broken off."""
        slot = self.slots.pop(partition)
        task = slot.checkpointing
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self._ledger.forget(slot.tps.values())
        self._committer.forget(partition)

    async def restore(
        self,
        partition: int,
        restored: Restored,
        bounds: Mapping[TopicPartition, tuple[int, int]],
        generation: int,
    ) -> Slot:
        """Make a processor, give it its state, and open the books on its sources.

        Args:
            partition: number of the partition.
            restored: what its state topic holds.
            bounds: first and end offset of its source partitions.
            generation: of the group, that gave the partition to this worker.

        Raises:
            StateError: the state does not fit the processor or the source topics.
        """
        processor = self._build(partition)
        if restored.saved is not None:
            processor.restore(restored.saved)
        positions = dict(processor.positions())
        # Reading some records once more is the processor's own affair; skipping some never is.
        if set(positions) != set(restored.positions) or any(
            position > restored.positions[source] for source, position in positions.items()
        ):
            raise StateError(
                f"{self.name} {partition}: the restored processor continues from {positions}, but "
                f"the checkpoint says {restored.positions}; this is a fault in the processor"
            )
        tps = {source: TopicPartition(topic, partition) for source, topic in self.topics.items()}
        slot = Slot(partition, processor, tps, restored.epoch, restored.records, generation)
        for source, tp in tps.items():
            first, end = bounds[tp]
            position = positions.get(source, first)
            if position > end:
                raise StateError(
                    f"the state of {self.name} {partition} includes {tp.topic}[{tp.partition}] up "
                    f"to offset {position}, but the topic ends at {end}: it was deleted and made "
                    "anew, or restored from a copy. Start afresh under another `application` name"
                )
            self._ledger.begin(tp, position)
            slot.lost[source] += self._ledger.skip_to(tp, first)
        await self._committer.adopt(partition, restored)
        self.slots[partition] = slot
        return slot

    def take(self, slot: Slot, delivery: Delivery, now_ms: int) -> Verdict:
        """Give a delivery to the processor if it is the next one."""
        known = self._ledger.expected(delivery.tp) if delivery.tp in self._ledger else 0
        verdict = self._ledger.take(delivery)
        if verdict is Verdict.TAKE:
            chunk = drop_before(delivery.chunk, known)
            if len(chunk):
                slot.processor.step(chunk, now_ms)
                slot.consumed[chunk.source] += len(chunk)
        return verdict

    def give_up(self, slot: Slot, tp: TopicPartition, first: int) -> int:
        """Accept that retention removed what comes before ``first``; return how much was lost."""
        lost = self._ledger.skip_to(tp, first)
        slot.lost[slot.sources[tp]] += lost
        return lost

    def held(self) -> set[TopicPartition]:
        """Source partitions that processors do not want to be fed from for now."""
        return {
            slot.tps[source] for slot in self.slots.values() for source in slot.processor.paused()
        }

    async def checkpoint(self, slot: Slot, now_ms: int) -> None:
        """Make everything that the processor did so far durable and visible."""
        checkpoint = slot.processor.checkpoint(now_ms)
        started = time.monotonic()
        if checkpoint is None:
            slot.durable_at = started
            return
        self._check(slot, checkpoint)
        slot.epoch += 1
        await self._committer.commit(slot.partition, slot.epoch, checkpoint)
        slot.durable_at = started
        slot.duration = time.monotonic() - started
        slot.checkpoints += 1

    async def tidy(self, slot: Slot) -> None:
        """Delete what the last checkpoint made superfluous."""
        await self._committer.tidy(slot.partition)

    async def close(self) -> None:
        """Disconnect, when everything else has stopped."""
        await self._committer.close()

    def offsets(self, partition: int, positions: Mapping[str, int]) -> dict[TopicPartition, int]:
        """Translate positions per source into offsets of source partitions."""
        tps = self.slots[partition].tps
        return {tps[source]: position for source, position in positions.items()}

    def note_durable(self, partition: int, positions: Mapping[str, int]) -> None:
        """Tell the ledger what a durable checkpoint covers."""
        slot = self.slots[partition]
        for source, position in positions.items():
            self._ledger.durable(slot.tps[source], position)

    def status(self, end_of: Callable[[TopicPartition], int | None]) -> list[PartitionStatus]:
        """Describe every partition.

        Args:
            end_of: tells the end offset of a source partition, None when it is not known.
        """
        now = time.monotonic()
        return [
            PartitionStatus(
                stage=self.name,
                partition=slot.partition,
                sources=tuple(self._source(slot, source, end_of) for source in slot.tps),
                checkpoint_age=now - slot.durable_at,
                checkpoint_duration=slot.duration,
                checkpoints=slot.checkpoints,
                restored_records=slot.restored_records,
                processor=dict(slot.processor.status()),
            )
            for slot in self.slots.values()
        ]

    def _source(
        self, slot: Slot, source: str, end_of: Callable[[TopicPartition], int | None]
    ) -> SourceStatus:
        tp = slot.tps[source]
        expected = self._ledger.expected(tp)
        position = slot.processor.positions().get(source, expected)
        end = end_of(tp)
        return SourceStatus(
            source=source,
            topic=tp.topic,
            position=position,
            delivered=expected,
            end=end,
            lag=None if end is None else max(end - expected, 0),
            consumed=slot.consumed[source],
            lost=slot.lost[source],
        )

    def _check(self, slot: Slot, checkpoint: Checkpoint) -> None:
        unknown = set(checkpoint.positions) - set(slot.tps)
        if unknown:
            raise LedgerError(f"{self.name} has no source {sorted(unknown)}; it has {slot.tps}")
