"""aiokafka's consumer, made to give columns instead of an object per record.

aiokafka wraps the bytes that a fetch brought into ``MemoryRecords`` and ``PartitionRecords``. Here
the one function that does so, and the one that makes the fetcher, see our classes under those
names; everything else, and every other consumer, is aiokafka's own. Its version is pinned, and
``tests/edge`` exercises all of it on a real broker.
"""
# ruff: noqa: SLF001 - see above

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException

from streams.edge.raw import PackedRecords, RawRecords
from streams.wire import Packed


@dataclass(slots=True, frozen=True)
class Fetched:
    """Records of one partition.

    Attributes:
        tp: where they come from.
        start: position of the consumer before.
        end: position after; it also passes what holds no record for us.
        packed: the records.
    """

    tp: TopicPartition
    start: int
    end: int
    packed: Packed


def _seeing(function: Callable[..., Any], **names: object) -> Any:
    """Copy a function so that it finds other things under some global names."""
    assert isinstance(function, FunctionType)  # noqa: S101 - for the type checker
    missing = names.keys() - set(function.__code__.co_names)
    if missing:
        raise RuntimeError(f"{function.__qualname__} of this aiokafka does not use {missing}")
    copy = FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


class RawFetcher(Fetcher):
    """aiokafka's fetcher, but what it keeps for the consumer are ``PackedRecords``."""

    _proc_fetch_request = _seeing(
        Fetcher._proc_fetch_request, MemoryRecords=RawRecords, PartitionRecords=PackedRecords
    )


class RawConsumer(AIOKafkaConsumer):
    """aiokafka's consumer with ``take`` and ``wait`` in place of ``getmany`` and ``getone``."""

    start = _seeing(AIOKafkaConsumer.start, Fetcher=RawFetcher)

    def take(self, wanted: Collection[TopicPartition], limit: int) -> list[Fetched]:
        """Return what has been fetched of some partitions, and move their positions.

        Args:
            wanted: the partitions; what was fetched of others is kept for later.
            limit: most records of each.

        Raises:
            ConsumerStoppedError: the consumer has been stopped.
            CorruptRecordException: the next records of a partition are damaged.
            KafkaError: what the broker said of a partition.
        """
        # The same steps as aiokafka's Fetcher.fetched_records.
        fetcher = self._fetcher
        if self._closed or fetcher._closed:
            raise ConsumerStoppedError
        found: list[Fetched] = []
        for tp in list(fetcher._records):
            if tp not in wanted:
                if not fetcher._subscriptions.is_assigned(tp):
                    del fetcher._records[tp]
                continue
            result = fetcher._records[tp]
            if type(result) is not FetchResult:
                if found:
                    return found  # the error comes with the next call
                self._used_up(tp)
                result.check_raise()
                continue
            try:
                fetched = _take(tp, result, limit)
            except CorruptRecordException:
                if found:
                    return found
                self._used_up(tp)
                raise
            if not result.has_more():
                self._used_up(tp)
            if fetched is not None:
                found.append(fetched)
        return found

    async def wait(self, seconds: float) -> bool:
        """Wait until something has been fetched; False when nothing came in time."""
        waiter = self._fetcher._create_fetch_waiter()
        done, _ = await asyncio.wait([waiter], timeout=seconds)
        if not done:
            waiter.cancel()
            return False
        waiter.result()  # may tell that reading is not allowed
        return True

    def _used_up(self, tp: TopicPartition) -> None:
        """Let the fetcher ask for more of a partition."""
        fetcher = self._fetcher
        del fetcher._records[tp]
        fetcher._notify(fetcher._wait_consume_future)


def _take(tp: TopicPartition, result: FetchResult, limit: int) -> Fetched | None:
    if not result.check_assignment(tp) or not result.has_more():
        return None
    records: PackedRecords = result._partition_records
    start = records.next_fetch_offset
    packed = records.take(limit)
    result._update_position()
    if records.exhausted:
        result._partition_records = None
    if records.next_fetch_offset == start:
        return None
    return Fetched(tp, start, records.next_fetch_offset, packed)
