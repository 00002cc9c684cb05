"""Batches of the message formats before Kafka 0.11 (0 and 1), left to aiokafka's own classes."""

import struct
import zlib

from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from streams.wire import Chunk, Packed

_CRC = struct.Struct(">I")
_CRC_AT = 12
_CRC_FROM = 16


def checksum_holds(batch: memoryview) -> bool:
    """Verify the checksum of a whole batch; aiokafka's reader trips over damage before it does."""
    (expected,) = _CRC.unpack_from(batch, _CRC_AT)
    return bool(zlib.crc32(batch[_CRC_FROM:]) == expected)


def read_legacy(tp: TopicPartition, batches: bytes, position: int) -> tuple[Packed, int]:
    """Read batches of an old format.

    Args:
        tp: where they come from.
        batches: their bytes; none of a newer format among them, all checksums verified if at all.
        position: offset of the first record that is wanted.

    Returns:
        The records, and the position behind them.

    Raises:
        Exception: of any kind, when something is damaged.
    """
    reader = PartitionRecords(
        tp, MemoryRecords(batches), None, position, None, None, False, READ_COMMITTED
    )
    # Of batches that lie before the position aiokafka would return all but the first.
    found = [record for record in reader if record.offset >= position]
    packed = Chunk(
        "",
        tp.partition,
        [record.offset for record in found],
        [record.key for record in found],
        [record.value for record in found],
        [-1 if record.timestamp is None else record.timestamp for record in found],
        [() for _ in found],
    ).packed
    last = found[-1].offset if found else -1
    return packed, max(position, reader.next_fetch_offset, last + 1)
