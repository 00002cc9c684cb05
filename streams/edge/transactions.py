"""Kafka transactions of one transactional id, by way of aiokafka.

aiokafka retries by itself whatever may be retried, the end of a transaction included, and a broker
takes a repeated end for what it is. What comes through as an error is final: the transaction is
aborted, at the latest when the next owner of the id introduces itself, and this object is of no
use any more.
"""
# ruff: noqa: SLF001 - aiokafka offers no other way to drop a producer without waiting for it

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTransactionTimeout,
    InvalidTxnState,
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from streams.edge.delivery import TopicPartition
from streams.edge.errors import EdgeError, FencedError, StuckError, TransactionError
from streams.edge.sender import Record, producer_options

log = logging.getLogger(__name__)

ABORT_SECONDS = 2.0
"""How long a failed transaction may take to be aborted; the next owner would do it as well."""

_FENCED = (
    ProducerFenced,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    OutOfOrderSequenceNumber,
)
_ALTERNATIVE = (
    "or set processing.guarantee: at_least_once, which needs none and may repeat outputs after a "
    "crash"
)


class Transactions(Protocol):
    """The transactions of one transactional id, one after another."""

    async def commit(
        self, records: Iterable[Record], offsets: Mapping[TopicPartition, int]
    ) -> None:
        """Write records and offsets, all or none.

        Raises:
            FencedError: another owner has taken the id over; nothing was written.
            Exception: whether it was written is not known; start again from what can be read.
        """

    async def close(self) -> None:
        """Disconnect; what is not committed is aborted by the broker."""


OpenTransactions = Callable[[str, int], Awaitable[Transactions]]


class KafkaTransactions:
    """One aiokafka producer and its transactional id."""

    def __init__(
        self, options: Mapping[str, Any], group: str, transactional_id: str, timeout: float
    ) -> None:
        """Keep the settings.

        Args:
            options: connection arguments, see ``security.client_options``.
            group: consumer group whose offsets are committed.
            transactional_id: the name under which others are fenced.
            timeout: seconds after which the broker aborts a transaction by itself, and which
                opening may take.
        """
        self._options = {
            **producer_options(options, transactional_id),
            # Everything is handed over at once; there is nothing to wait for.
            "linger_ms": 0,
            "transactional_id": transactional_id,
            "transaction_timeout_ms": int(timeout * 1000),
        }
        self._group = group
        self._id = transactional_id
        self._timeout = timeout
        self._producer: AIOKafkaProducer | None = None
        self._healthy = True

    async def open(self) -> None:
        """Fence former owners: their open transaction is aborted, and they can begin no other.

        Raises:
            TransactionError: the broker does not have, or does not allow, transactions.
        """
        producer = self._producer = AIOKafkaProducer(**self._options)
        try:
            async with asyncio.timeout(self._timeout):
                await producer.start()
        except TimeoutError:
            await self._drop(producer)
            raise TransactionError(
                f"no broker took the transactional id {self._id} within {self._timeout:g} s. A "
                "cluster with fewer brokers than transaction.state.log.replication.factor (3 "
                f"unless set) has no transactions: lower it on the brokers, {_ALTERNATIVE}"
            ) from None
        except BaseException as error:
            await self._drop(producer)
            if isinstance(error, Exception):
                raise self._explained(error) from error
            raise

    async def commit(
        self, records: Iterable[Record], offsets: Mapping[TopicPartition, int]
    ) -> None:
        """Write records and offsets, all or none."""
        producer = self._producer
        if producer is None or not self._healthy:
            raise FencedError(f"the transactions of {self._id} have ended")
        self._healthy = False  # until the end is known
        try:
            await producer.begin_transaction()
            await self._write(producer, records, offsets)
            await producer.commit_transaction()
        except Exception as error:
            await self._abort(producer)
            raise self._explained(error) from error
        self._healthy = True

    async def close(self) -> None:
        """Disconnect."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        if self._healthy:
            await producer.stop()
        else:
            await self._drop(producer)

    async def _write(
        self,
        producer: AIOKafkaProducer,
        records: Iterable[Record],
        offsets: Mapping[TopicPartition, int],
    ) -> None:
        sent: list[asyncio.Future[object]] = []
        try:
            for record in records:
                sent.append(await _hand_over(producer, record))  # noqa: PERF401 - sent holds what went out before an error
            if offsets:
                # Goes out while the records are on their way.
                await producer.send_offsets_to_transaction(
                    {KafkaPartition(*tp): offset for tp, offset in offsets.items()}, self._group
                )
        except BaseException:
            for future in sent:
                future.add_done_callback(_look_away)
            raise
        # aiokafka would commit a transaction even if some of its records had been refused.
        for result in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _abort(self, producer: AIOKafkaProducer) -> None:
        """Abort at once, if that can be done, so that readers need not wait for the timeout."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(ABORT_SECONDS):
                await producer.abort_transaction()

    async def _drop(self, producer: AIOKafkaProducer) -> None:
        """Disconnect at once: what the broker did not take by now must not reach it later."""
        producer._closed = True
        task = producer._sender.sender_task
        if task is not None:
            task.cancel()
        await producer.client.close()
        if task is not None:
            task.add_done_callback(_look_away)
            await asyncio.wait([task], timeout=ABORT_SECONDS)

    def _explained(self, error: Exception) -> Exception:
        """Say what an error means and what to do; aiokafka hides some behind others."""
        found: BaseException | None = error
        while found is not None:
            if isinstance(found, EdgeError):
                return found
            if isinstance(found, _FENCED):
                return FencedError(
                    f"the broker takes no more transactions of {self._id} from this worker: "
                    "another one has the partition, or the last transaction took longer than "
                    f"processing.checkpoint_timeout ({type(found).__name__})"
                )
            if isinstance(found, TransactionalIdAuthorizationFailed):
                return TransactionError(
                    f"not allowed to use the transactional id {self._id}: give this principal the "
                    "ACL operations Write and Describe on TransactionalId, for all ids that begin "
                    f"with {self._group}- (kafka-acls --add --producer --transactional-id "
                    f"{self._group}- --resource-pattern-type prefixed), {_ALTERNATIVE}"
                )
            if isinstance(found, GroupAuthorizationFailedError):
                return TransactionError(
                    f"not allowed to commit offsets of the group {self._group}: give this "
                    "principal the ACL operation Read on it"
                )
            if isinstance(found, TopicAuthorizationFailedError):
                return TransactionError(
                    f"not allowed to write to {found}: give this principal the ACL operation "
                    "Write on the topic"
                )
            if isinstance(found, InvalidTransactionTimeout):
                return TransactionError(
                    f"processing.checkpoint_timeout ({self._timeout:g} s) is more than the broker "
                    "allows (its transaction.max.timeout.ms); lower it"
                )
            if isinstance(found, IncompatibleBrokerVersion):
                return TransactionError(
                    f"the broker has no transactions: use Apache Kafka 2.5 or later, {_ALTERNATIVE}"
                )
            found = found.__cause__
        if not isinstance(error, KafkaError):
            return error
        return StuckError(
            f"Kafka did not take a transaction of {self._id}: {error!r}. Warnings above say what "
            "it answered; the usual reasons are a full or broken disk (KafkaStorageError) and "
            "brokers that are down. Repair them and start the worker again: it goes on from the "
            "last finished checkpoint, nothing is lost"
        )


async def _hand_over(producer: AIOKafkaProducer, record: Record) -> asyncio.Future[object]:
    while True:
        # Waits for room as long as it takes; the checkpoint as a whole has a deadline.
        with contextlib.suppress(KafkaTimeoutError):
            future: asyncio.Future[object] = await producer.send(
                record.topic,
                record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
            )
            return future


def _look_away(future: asyncio.Future[Any]) -> None:
    """Take note of an error that comes after the one that counts."""
    if not future.cancelled():
        future.exception()
