"""Reading a topic from all its partitions, without a group and without leaving a trace."""

from collections.abc import AsyncGenerator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from streams.cli.output import CommandError
from streams.config.pipeline import KafkaConfig
from streams.edge.security import client_options
from streams.edge.topics import partition_counts

_POLL_MS = 500

Records = list[ConsumerRecord]


async def read(
    kafka: KafkaConfig, topic: str, since: int | None = None, *, follow: bool = False
) -> AsyncGenerator[Records, None]:
    """Yield records of one partition at a time, in offset order within each partition.

    Args:
        kafka: the connection.
        topic: its name in Kafka.
        since: broker time in ms from which on to read; None is the beginning.
        follow: go on for ever, with an empty list whenever all that is there was read; otherwise
            stop at what was the end when reading began.

    Raises:
        CommandError: the brokers cannot be reached or refuse, or the topic does not exist.
    """
    try:
        async for records in _read(kafka, topic, since, follow=follow):
            yield records
    except KafkaError as error:
        raise CommandError(
            f"cannot read {topic} from {kafka.bootstrap_servers}: {error}"
        ) from error


async def _read(
    kafka: KafkaConfig, topic: str, since: int | None, *, follow: bool
) -> AsyncGenerator[Records, None]:
    counts = await partition_counts(client_options(kafka))
    if topic not in counts:
        raise CommandError(f"there is no topic {topic}; 'driftline topics create' makes it")
    partitions = [TopicPartition(topic, number) for number in range(counts[topic])]
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await _seek(consumer, partitions, since, ends)
        behind = {p for p in partitions if await consumer.position(p) < ends[p]}
        while behind:
            fetched = await consumer.getmany(*behind, timeout_ms=_POLL_MS)
            for partition, records in fetched.items():
                kept = [
                    r
                    for r in records
                    if (follow or r.offset < ends[partition]) and r.timestamp >= (since or 0)
                ]
                if kept:
                    yield kept
            behind = {p for p in behind if await consumer.position(p) < ends[p]}
        while follow:
            yield []
            for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                yield records
    finally:
        await consumer.stop()


async def _seek(
    consumer: AIOKafkaConsumer,
    partitions: list[TopicPartition],
    since: int | None,
    ends: dict[TopicPartition, int],
) -> None:
    if since is None:
        await consumer.seek_to_beginning(*partitions)
        return
    starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since))
    for partition in partitions:
        start = starts.get(partition)
        if start is not None:
            consumer.seek(partition, start.offset)
        elif await _is_newer(consumer, partition, since, ends[partition]):
            # The embedded broker looks nothing up by time.
            await consumer.seek_to_beginning(partition)
        else:
            consumer.seek(partition, ends[partition])


async def _is_newer(
    consumer: AIOKafkaConsumer, partition: TopicPartition, since: int, end: int
) -> bool:
    """Tell whether the last record of a partition is of a time or later."""
    consumer.seek(partition, max(0, end - 1))
    while await consumer.position(partition) < end:
        fetched = await consumer.getmany(partition, timeout_ms=_POLL_MS)
        if any(r.timestamp >= since for records in fetched.values() for r in records):
            return True
    return False
