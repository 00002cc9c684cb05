"""Faust's aiokafka transport, made to carry chunks.

Stock Faust makes an event and four asyncio tasks of every message. Here everything that one fetch
brought from a topic partition travels as a single event, a ``Delivery``. Faust's bookkeeping of
acknowledgements is switched off (its topics have ``acks=False``); which offsets may be committed is
for the ledger to say.

The parts of aiokafka and Faust that are overridden or used from the inside are not public: their
versions are pinned, and ``tests/edge`` exercises each of them on a real broker.
"""
# ruff: noqa: SLF001 - see above

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import aiokafka
from aiokafka.consumer.group_coordinator import OffsetCommitRequest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.edge.consumer import Fetched, RawConsumer
from streams.edge.delivery import Delivery, TopicPartition
from streams.wire import Chunk

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
"""Longest wait for records: also how long it takes until a resumed partition is read again."""
NO_GENERATION = OffsetCommitRequest.DEFAULT_GENERATION_ID
"""What aiokafka sets when the broker no longer knows this member of the group."""
HELD_SECONDS = 0.02
"""Wait between looks when every partition is held back."""


@dataclass(slots=True, frozen=True)
class Fetching:
    """How much is fetched at a time.

    Attributes:
        partition_bytes: most bytes of one partition in a fetch.
        total_bytes: most bytes of a fetch.
        enough_bytes: with less than that the broker waits for more. Without it, a thousand records
            a second would be a thousand fetches, which cost more than the records.
        wait_ms: how long the broker waits at most; a part of every latency at low rates.
        chunk_records: most records of a chunk; the event loop stands still while one is processed.
        check_crcs: whether checksums are verified; the embedded broker's cannot always be.
    """

    partition_bytes: int = 2 * 1024 * 1024
    total_bytes: int = 8 * 1024 * 1024
    enough_bytes: int = 256 * 1024
    wait_ms: int = 50
    chunk_records: int = 8_192
    check_crcs: bool = True


class Edge(Protocol):
    """What the transport needs to know of the rest."""

    fetching: Fetching
    options: Mapping[str, Any]
    sources: Mapping[str, str]

    def held(self) -> frozenset[TopicPartition]:
        """Partitions that should not be read for now."""

    async def seek_targets(self, tps: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to read partitions from."""

    def committable(self) -> dict[TopicPartition, int]:
        """Offsets that may be committed and are not yet."""

    def note_committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The broker took these offsets."""


class ChunkThread(driver.AIOKafkaConsumerThread):
    """Runs aiokafka's consumer on a thread of its own and turns fetches into deliveries there."""

    def _create_worker_consumer(self, transport: Any) -> RawConsumer:  # noqa: ARG002 - Faust's signature
        conf, edge = self.app.conf, self.app.edge
        self._assignor = self.app.assignor
        return RawConsumer(
            **edge.options,
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=edge.fetching.partition_bytes,
            fetch_max_bytes=edge.fetching.total_bytes,
            fetch_min_bytes=edge.fetching.enough_bytes,
            fetch_max_wait_ms=edge.fetching.wait_ms,
            check_crcs=edge.fetching.check_crcs,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )

    async def fetch(self, wanted: Iterable[TP], timeout: float) -> list[Delivery]:  # noqa: ASYNC109 - how long the fetch itself may wait
        """Wait for records of the wanted partitions and return what there is, one item each."""
        found: list[Delivery] = await self.call_thread(
            self._fetch, self._ensure_consumer(), set(wanted), timeout
        )
        return found

    async def _fetch(
        self,
        consumer: RawConsumer,
        wanted: set[TP],
        timeout: float,  # noqa: ASYNC109 - as above
    ) -> list[Delivery]:
        subscriptions = consumer._subscription
        sources, limit = self.app.edge.sources, self.app.edge.fetching.chunk_records
        deadline = time.monotonic() + timeout
        with subscriptions.fetch_context():
            while True:
                if subscriptions.reassignment_in_progress or not self.consumer.flow_active:
                    await asyncio.sleep(HELD_SECONDS)
                    return []
                found = consumer.take(wanted, limit)
                left = deadline - time.monotonic()
                if found or left <= 0 or not await consumer.wait(left):
                    return [_delivery(sources[one.tp.topic], one) for one in found]

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Committed offsets are for people and tools that watch the lag: a restart reads from where
        # the state says. So a failed commit is repeated later and never a reason to stop.
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        ours = {aiokafka.TopicPartition(*tp): o for tp, o in offsets.items() if tp in assigned}
        if not ours:
            return False
        try:
            await consumer.commit(ours)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("offsets could not be committed, will try again: %r", error)
            return False
        return True

    def is_member(self) -> bool:
        """Tell whether the group still counts this worker in, as far as it knows."""
        consumer = self._consumer
        return consumer is not None and consumer._coordinator.generation != NO_GENERATION

    def partition_count(self, topic: str) -> int:
        """Return the number of partitions of a topic, 0 when it is not known."""
        return len(self._ensure_consumer().partitions_for_topic(topic) or ())

    def end_offset(self, tp: TopicPartition, within: float) -> int | None:
        """Return the end of a partition if a fetch told it lately.

        Args:
            tp: the partition.
            within: seconds that the answer may be old.
        """
        consumer = self._consumer
        subscription = consumer._subscription.subscription if consumer is not None else None
        assignment = subscription.assignment if subscription is not None else None
        if assignment is None or tp not in assignment.tps:
            return None
        state = assignment.state_value(aiokafka.TopicPartition(*tp))
        if state.lso is None or state.timestamp is None:
            return None
        if time.monotonic() - state.timestamp / 1000 > within:
            return None
        return int(state.lso)


def _delivery(source: str, fetched: Fetched) -> Delivery:
    tp = TopicPartition(*fetched.tp)
    chunk = Chunk.of(source, tp.partition, fetched.packed)
    return Delivery(tp, fetched.start, fetched.end, chunk)


class ChunkConsumer(driver.Consumer):
    """Gives Faust one message per fetched chunk and commits what the ledger allows."""

    _thread: ChunkThread

    def _new_consumer_thread(self) -> ChunkThread:
        return ChunkThread(self, loop=self.loop, beacon=self.beacon)

    def __post_init__(self) -> None:
        self._commit_lock = asyncio.Lock()

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ARG002, ASYNC109 - Faust's signature
        """Yield a message for each chunk that is there."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        generation = self.app.consumer_generation_id
        active = self._get_active_partitions() - self.app.edge.held()
        if not active:
            await self.sleep(HELD_SECONDS)
            return
        for delivery in await self._thread.fetch(active, POLL_SECONDS):
            if self.should_stop or not self.flow_active:
                return
            if self.app.consumer_generation_id != generation:
                return
            tp = TP(*delivery.tp)
            yield (
                tp,
                ConsumerMessage(
                    *(tp.topic, tp.partition, delivery.start),
                    *(None, None, (), None, delivery, None, 0, 0, tp),
                    generation_id=generation,
                ),
            )

    async def perform_seek(self) -> None:
        """Seek to where the processors' state ends, not to the committed offsets."""
        assigned = frozenset(TopicPartition(*tp) for tp in self.assignment())
        await self.seek_to(await self.app.edge.seek_targets(assigned))

    async def seek_to(self, positions: Mapping[TopicPartition, int]) -> None:
        """Seek partitions and wait until the consumer stands there."""
        if positions:
            await self.seek_wait({TP(*tp): offset for tp, offset in positions.items()})

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Commit what durable checkpoints cover, whatever Faust believes was processed."""
        async with self._commit_lock:
            offsets = self.app.edge.committable()
            if not offsets or not await self._thread.commit(offsets):
                return False
            self.app.edge.note_committed(offsets)
            return True

    async def wait_empty(self) -> None:
        """Return at once: a chunk is processed without yielding, so none is ever half done."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: held partitions are no fault; lag and checkpoint age are published."""

    async def bounds(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Ask the broker for the first and the end offset of partitions."""
        wanted = [aiokafka.TopicPartition(*tp) for tp in tps]
        first = await self._thread.earliest_offsets(*wanted)
        end = await self._thread.highwaters(*wanted)
        return {TopicPartition(*tp): (first[tp], end[tp]) for tp in wanted}

    def end_offset(self, tp: TopicPartition, within: float) -> int | None:
        """Return the end of a partition if a fetch told it in the last ``within`` seconds."""
        return self._thread.end_offset(tp, within)

    def is_member(self) -> bool:
        """Tell whether the group still counts this worker in, as far as it knows."""
        return self._thread.is_member()

    def partition_count(self, topic: str) -> int:
        """Return the number of partitions of a topic, 0 when it is not known."""
        return self._thread.partition_count(topic)


class ChunkTransport(driver.Transport):
    """The transport that Faust is given instead of its own."""

    Consumer: ClassVar[type[ChunkConsumer]] = ChunkConsumer
