"""Sends records and waits until the broker has them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer

from streams.wire import Header

LINGER_MS = 5
BATCH_BYTES = 512 * 1024
REQUEST_BYTES = 1_048_000
"""Just below the 1,048,588 bytes that brokers take unless they are told otherwise."""


@dataclass(slots=True, frozen=True)
class Record:
    """A record to send; ``partition`` None leaves the choice to the key's murmur2 hash."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()
    partition: int | None = None


class Sender(Protocol):
    """Something that delivers records."""

    async def send_all(self, records: Iterable[Record]) -> None:
        """Send records and return when the broker has all of them.

        Raises:
            Exception: at least one was not delivered.
        """


def producer_options(options: Mapping[str, Any], client_id: str) -> dict[str, Any]:
    """Build the arguments of a producer whose retries neither lose nor repeat nor reorder.

    Args:
        options: connection arguments, see ``security.client_options``.
        client_id: name in the broker's logs.
    """
    return {
        **options,
        "client_id": client_id,
        "enable_idempotence": True,
        "acks": "all",
        "linger_ms": LINGER_MS,
        # aiokafka's lz4 is set to its slowest level: 15 MB/s, a sixth of all the worker's CPU.
        # zstd makes 250 MB/s, snappy 850.
        "compression_type": "snappy",
        "max_batch_size": BATCH_BYTES,
        "max_request_size": REQUEST_BYTES,
    }


class KafkaSender:
    """An idempotent producer: retries neither lose nor repeat nor reorder records."""

    def __init__(self, options: dict[str, Any], client_id: str) -> None:
        """Keep the settings.

        Args:
            options: connection arguments, see ``security.client_options``.
            client_id: name in the broker's logs.
        """
        self._options = producer_options(options, client_id)
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect."""
        producer = AIOKafkaProducer(**self._options)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Send what is queued and disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def abort(self) -> None:
        """Disconnect at once; what is queued is not sent."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.client.close()

    async def send_all(self, records: Iterable[Record]) -> None:
        """Send records and return when the broker has all of them."""
        producer = self._producer
        if producer is None:
            raise RuntimeError("the sender has not been started")
        sent: list[asyncio.Future[object]] = []
        try:
            for record in records:
                future = await producer.send(
                    record.topic,
                    record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                )
                sent.append(future)
        finally:
            results = await asyncio.gather(*sent, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
