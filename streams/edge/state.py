"""Reads state partitions from their first record to their last."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.edge.errors import StateError
from streams.edge.keys import Keys
from streams.edge.saved import Restored, StateFold
from streams.edge.topics import partition_counts

FETCH_BYTES = 8 * 1024 * 1024
POLL_MS = 200
SLICE = 5_000
"""Records that are taken in before others get a turn on the event loop."""


class StateReader:
    """Reads the state of any number of partitions with one plain consumer, outside any group."""

    def __init__(self, options: Mapping[str, Any], topics: Mapping[str, str]) -> None:
        """Keep the settings.

        Args:
            options: connection arguments, see ``security.client_options``.
            topics: state topic of each stage.
        """
        self._options = dict(options)
        self._topics = topics

    async def read(self, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Restored]:
        """Read the partitions of stages as they are now.

        Args:
            wanted: pairs of stage and partition.

        Raises:
            StateError: a state topic is missing, or a record cannot be read.
        """
        where = {TopicPartition(self._topics[stage], p): Keys(stage, p) for stage, p in wanted}
        if not where:
            return {}
        await self._check(where)
        consumer = AIOKafkaConsumer(
            **self._options,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=POLL_MS,
        )
        try:
            await consumer.start()
            folds = await self._fold(consumer, where)
        finally:
            await _stop(consumer)
        return {(keys.stage, keys.partition): folds[tp].finish() for tp, keys in where.items()}

    async def _check(self, where: Iterable[TopicPartition]) -> None:
        counts = await partition_counts(self._options)
        for tp in where:
            if tp.partition >= counts.get(tp.topic, 0):
                raise StateError(
                    f"state topic {tp.topic} has {counts.get(tp.topic, 0)} partitions, but "
                    f"partition {tp.partition} is needed: it must have as many as the topics that "
                    "its stage reads. Create it with: driftline topics create"
                )

    async def _fold(
        self, consumer: AIOKafkaConsumer, where: Mapping[TopicPartition, Keys]
    ) -> dict[TopicPartition, StateFold]:
        consumer.assign(list(where))
        ends = await consumer.end_offsets(list(where))
        starts = await consumer.beginning_offsets(list(where))
        for tp, start in starts.items():
            consumer.seek(tp, start)
        folds = {tp: StateFold(keys, tp.topic) for tp, keys in where.items()}
        unread = {tp for tp in where if starts[tp] < ends[tp]}
        while unread:
            batches = await consumer.getmany(*unread, timeout_ms=POLL_MS)
            for tp, records in batches.items():
                add = folds[tp].add
                for first in range(0, len(records), SLICE):
                    for record in records[first : first + SLICE]:
                        add(record.offset, record.key, record.value)
                    await asyncio.sleep(0)
            for tp in list(unread):
                # The position also passes transaction markers, which are no records.
                if await consumer.position(tp) >= ends[tp]:
                    unread.discard(tp)
        return folds


async def _stop(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        # aiokafka lets a cancelled task of its own show when it is stopped soon after its start.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
