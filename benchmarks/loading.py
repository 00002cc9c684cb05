"""Puts messages into topics quickly."""

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from workload import Messages

from streams.events.partitioner import partition_for, partitions_for

_SLICE = 20_000


class Loader:
    """Creates and fills topics.

    Args:
        bootstrap_servers: where the broker is.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        options = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
        self._admin = AdminClient(options)
        self._failures: list[KafkaError] = []
        self._producer = Producer(
            {
                **options,
                "compression.type": "lz4",
                "linger.ms": 50,
                "batch.size": 512 * 1024,
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 1024 * 1024,
                "on_delivery": self._note,
            }
        )

    def create(self, partitions: Mapping[str, int]) -> None:
        """Create topics that keep records of any age."""
        config = {"retention.ms": "-1", "max.message.bytes": "2000000"}
        new = [NewTopic(name, count, 1, config=config) for name, count in partitions.items()]
        for future in self._admin.create_topics(new).values():
            future.result(timeout=30)

    def fill(self, topic: str, partitions: int, messages: Messages) -> None:
        """Send messages in order, each to the partition of its key."""
        for part in _slices(messages):
            places = partitions_for([key for _, key, _ in part], partitions)
            for (value, key, stamp), place in zip(part, places, strict=True):
                self._send(topic, value, key, place, stamp)
        self._flush()

    def close(
        self, topic: str, partitions: int, place: int, identity: str, value: bytes, stamp: int
    ) -> None:
        """Send the last event of a partition.

        Raises:
            ValueError: the id does not belong there.
        """
        if partition_for(identity.encode(), partitions) != place:
            raise ValueError(f"{identity} does not belong to partition {place}")
        self._send(topic, value, identity.encode(), place, stamp)
        self._flush()

    def _send(self, topic: str, value: bytes, key: bytes, partition: int, stamp: int) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, timestamp=stamp)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _flush(self) -> None:
        deadline = time.monotonic() + 300
        while self._producer.flush(1) and time.monotonic() < deadline:
            pass
        if self._failures or len(self._producer):
            raise RuntimeError(f"the topics could not be filled: {self._failures[:3]}")

    def _note(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failures.append(error)


def _slices(messages: Messages) -> Iterator[list[tuple[bytes, bytes, int]]]:
    part = []
    for message in messages:
        part.append(message)
        if len(part) == _SLICE:
            yield part
            part = []
    if part:
        yield part
