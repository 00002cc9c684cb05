"""A subscriber to what Driftline publishes, as anybody could write one."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from streams.payloads import Payload, decode

_MOST_AT_ONCE = 500


class Subscriber:
    """Reads topics of one partition each from their beginning.

    Args:
        bootstrap_servers: address of the broker.
        topics: names of the topics.
    """

    def __init__(self, bootstrap_servers: str, topics: list[str]) -> None:
        self._partitions = [TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in topics]
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "driftline-demo-view",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 200,
                "log_level": 0,
            }
        )
        self._consumer.assign(self._partitions)

    def poll(self) -> list[Payload]:
        """Give what has come since the last call, without waiting."""
        messages = self._consumer.consume(_MOST_AT_ONCE, timeout=0)
        values = [message.value() for message in messages if message.error() is None]
        # A value of None is a tombstone of the compacted topic.
        return [decode(value) for value in values if value is not None]

    def rest(self, timeout: float) -> list[Payload]:
        """Give everything up to the present end of the topics, waiting at most so many seconds."""
        found = self.poll()
        deadline = time.monotonic() + timeout
        ends = [
            self._consumer.get_watermark_offsets(partition, timeout=timeout)[1]
            for partition in self._partitions
        ]
        while time.monotonic() < deadline:
            positions = [p.offset for p in self._consumer.position(self._partitions)]
            if all(at >= end or end == 0 for at, end in zip(positions, ends, strict=True)):
                break
            found += self.poll()
            time.sleep(0.02)
        return found

    def close(self) -> None:
        """Leave."""
        self._consumer.close()
