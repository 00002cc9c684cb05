"""Columns read from a real Apache Kafka are what other clients read there."""

import random
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, NewTopic

from streams.edge.consumer import RawConsumer
from streams.wire import Chunk
from support.kafka import RealKafka

pytestmark = pytest.mark.kafka

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
Record = tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


def create(node: RealKafka, topic: str, config: Mapping[str, str] | None = None) -> None:
    admin = AdminClient({"bootstrap.servers": node.bootstrap_servers})
    for future in admin.create_topics([NewTopic(topic, 1, 1, config=dict(config or {}))]).values():
        future.result(timeout=30)


def producer(node: RealKafka, codec: str, name: str | None = None, **more: Any) -> Producer:
    options = {
        "bootstrap.servers": node.bootstrap_servers,
        "compression.type": codec,
        "linger.ms": 5,
        "log_level": 0,
        **more,
    }
    made = Producer(options | ({"transactional.id": name} if name else {}))
    if name:
        made.init_transactions(30)
    return made


def produce(to: Producer, topic: str, numbers: range) -> None:
    for n in numbers:
        headers = [("trace", b"%d" % n), ("absent", None)] if n % 3 else []
        value = None if n % 11 == 0 else b"value-%d-" % n * (n % 50)
        key = None if n % 7 == 0 else b"key-%d" % n
        to.produce(topic, value=value, key=key, headers=headers, timestamp=1_700_000_000_000 + n)


def by_librdkafka(node: RealKafka, topic: str, count: int) -> list[Record]:
    consumer = Consumer(
        {
            "bootstrap.servers": node.bootstrap_servers,
            "group.id": "unused",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([Place(topic, 0, 0)])
    found: list[Any] = []
    while len(found) < count:
        batch = consumer.consume(count - len(found), timeout=20)
        assert batch, f"{len(found)} of {count} records"
        found += batch
    consumer.close()
    return [
        (m.offset(), m.timestamp()[1], m.key(), m.value(), tuple(m.headers() or ())) for m in found
    ]


@asynccontextmanager
async def reading(node: RealKafka, topic: str, start: int = 0, **options: Any) -> Any:
    consumer = RawConsumer(
        bootstrap_servers=node.bootstrap_servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
        **{"auto_offset_reset": "earliest"} | options,
    )
    await consumer.start()
    try:
        tp = TopicPartition(topic, 0)
        consumer.assign([tp])
        consumer.seek(tp, start)
        yield consumer, tp
    finally:
        await consumer.stop()


async def by_us(
    node: RealKafka, topic: str, start: int, stop: Callable[[int], bool], limit: int = 64
) -> list[Record]:
    found: list[Record] = []
    async with reading(node, topic, start, max_partition_fetch_bytes=20_000) as (consumer, tp):
        position = start
        while not stop(position):
            taken = consumer.take({tp}, limit)
            for one in taken:
                assert one.start == position
                position = one.end
                chunk = Chunk.of("predictions", 0, one.packed)
                found += zip(
                    *(chunk.offsets, chunk.timestamps, chunk.keys, chunk.values, chunk.headers),
                    strict=True,
                )
            if not taken:
                assert await consumer.wait(20), f"nothing comes from offset {position} on"
        assert await consumer.position(tp) == position
    return found


@pytest.mark.parametrize("codec", CODECS)
async def test_committed_transactions_are_read_and_aborted_ones_are_not(
    kafka: RealKafka, codec: str
) -> None:
    topic = f"raw-transactions-{codec}"
    create(kafka, topic)
    chance = random.Random(codec)
    writers = [producer(kafka, codec, f"{topic}-{n}") for n in range(2)]
    open_since: dict[int, int] = {}
    committed = sent = 0
    for step in range(24):
        which = step % 2
        writer = writers[which]
        if which not in open_since:
            writer.begin_transaction()
            open_since[which] = 0
        size = chance.choice((1, 7, 60))
        produce(writer, topic, range(sent, sent + size))
        writer.flush(20)
        sent += size
        open_since[which] += size
        if chance.random() < 0.6 or step >= 22:
            size = open_since.pop(which)
            if chance.random() < 0.5:
                writer.abort_transaction(20)
            else:
                writer.commit_transaction(20)
                committed += size
    last = producer(kafka, codec)
    produce(last, topic, range(sent, sent + 5))
    last.flush(20)
    assert 0 < committed < sent

    expected = by_librdkafka(kafka, topic, committed + 5)
    end = expected[-1][0] + 1
    assert await by_us(kafka, topic, 0, lambda position: position >= end) == expected
    middle = end // 2
    assert await by_us(kafka, topic, middle, lambda position: position >= end) == [
        record for record in expected if record[0] >= middle
    ]


@pytest.mark.parametrize("codec", CODECS)
async def test_what_the_broker_compressed_and_stamped_itself_is_understood(
    kafka: RealKafka, codec: str
) -> None:
    topic = f"raw-recompressed-{codec}"
    kind = "uncompressed" if codec == "none" else codec
    create(kafka, topic, {"compression.type": kind, "message.timestamp.type": "LogAppendTime"})
    writer = producer(kafka, "lz4" if codec == "none" else "none")
    produce(writer, topic, range(900))
    writer.flush(20)
    expected = by_librdkafka(kafka, topic, 900)
    assert await by_us(kafka, topic, 0, lambda position: position >= 900) == expected
    assert await by_us(kafka, topic, 333, lambda position: position >= 900) == expected[333:]


async def test_positions_the_broker_does_not_have_are_told_as_before(kafka: RealKafka) -> None:
    create(kafka, "raw-range")
    async with reading(kafka, "raw-range", 77, auto_offset_reset="none") as (consumer, tp):
        assert await consumer.wait(20)
        with pytest.raises(OffsetOutOfRangeError):
            consumer.take({tp}, 10)


async def test_what_was_fetched_of_partitions_held_back_is_kept(kafka: RealKafka) -> None:
    create(kafka, "raw-held")
    writer = producer(kafka, "none")
    produce(writer, "raw-held", range(5))
    writer.flush(20)
    async with reading(kafka, "raw-held") as (consumer, tp):
        assert await consumer.wait(20)
        assert consumer.take(set(), 10) == []
        (found,) = consumer.take({tp}, 10)
        assert found.packed.offsets.tolist() == list(range(5))
