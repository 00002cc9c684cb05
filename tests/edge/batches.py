"""Record batches as brokers keep them, written with aiokafka's own builder."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import strategies as st

TP = TopicPartition("t", 3)
CODECS = range(5)
APPEND_TIME, CONTROL = 0x08, 0x20
_CRC_FROM = 21
_PRODUCERS = (7, 8)

Record = tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]
"""Offset, timestamp, key, value, headers."""


@dataclass(frozen=True)
class Batch:
    """A batch; offsets of records are relative to ``base``."""

    base: int
    records: tuple[Record, ...]
    codec: int = 0
    producer: int = -1
    transactional: bool = False
    control: bool = False
    append_time: int | None = None
    cut_tail: int = 0
    """Offsets after the last record that compaction emptied."""

    @property
    def behind(self) -> int:
        """Offset after the batch."""
        return self.base + self.records[-1][0] + self.cut_tail + 1

    def encode(self) -> bytes:
        """Make the bytes."""
        builder = DefaultRecordBatchBuilder(
            2, self.codec, self.transactional, self.producer, 0, 0, 1 << 30
        )
        for offset, timestamp, key, value, headers in self.records:
            builder.append(offset, timestamp, key, value, list(headers))
        data = bytearray(builder.build())
        struct.pack_into(">q", data, 0, self.base)
        (attributes,) = struct.unpack_from(">h", data, 21)
        attributes |= CONTROL * self.control
        if self.append_time is not None:
            attributes |= APPEND_TIME
            struct.pack_into(">q", data, 35, self.append_time)
        struct.pack_into(">hi", data, 21, attributes, self.behind - self.base - 1)
        return sealed(data)


def sealed(data: bytearray) -> bytes:
    """Give a batch the checksum of its content."""
    struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[_CRC_FROM:])))
    return bytes(data)


def marker(base: int, producer: int, *, abort: bool) -> Batch:
    """Make the end of a transaction."""
    key, value = struct.pack(">HH", 0, 0 if abort else 1), struct.pack(">Hi", 0, 0)
    return Batch(
        base, ((0, 0, key, value, ()),), producer=producer, transactional=True, control=True
    )


def by_aiokafka(
    data: bytes, start: int, aborted: Iterable[tuple[int, int]] = (), *, check_crcs: bool = True
) -> tuple[list[Record], int]:
    """Read with aiokafka's own classes: records, and the position afterwards."""
    reader = PartitionRecords(
        TP, MemoryRecords(data), list(aborted), start, None, None, check_crcs, READ_COMMITTED
    )
    records = [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in reader]
    return records, reader.next_fetch_offset


_bytes = st.none() | st.binary(max_size=12) | st.binary(min_size=60, max_size=300)
_headers = st.lists(st.tuples(st.text(max_size=4), st.none() | st.binary(max_size=70)), max_size=3)


@st.composite
def logs(draw: Any) -> tuple[list[Batch], list[tuple[int, int]]]:
    """Draw consecutive batches and what the broker says of aborted transactions."""
    base = draw(st.integers(0, 1 << 40))
    batches: list[Batch] = []
    aborted: list[tuple[int, int]] = []
    open_since: dict[int, int] = {}
    for _ in range(draw(st.integers(1, 6))):
        base += draw(st.sampled_from((0, 0, 0, 5)))
        kind = draw(st.sampled_from(("plain", "plain", "transactional", "marker")))
        producer = draw(st.sampled_from(_PRODUCERS))
        if kind == "marker":
            batch = marker(base, producer, abort=draw(st.booleans()))
            since = open_since.pop(producer, None)
            if since is not None and batch.records[0][2] == b"\0\0\0\0":
                aborted.append((producer, since))
        else:
            batch = draw(_filled(base))
            if kind == "transactional":
                open_since.setdefault(producer, base)
                batch = replace(batch, producer=producer, transactional=True)
        batches.append(batch)
        base = batch.behind
    return batches, aborted


@st.composite
def _filled(draw: Any, base: int) -> Batch:
    records: list[Record] = []
    offset = 0
    first = draw(st.integers(0, 1 << 42))
    for _ in range(draw(st.integers(1, 12))):
        offset += draw(st.sampled_from((0, 0, 0, 1, 200)))
        records.append(
            (
                offset,
                max(first + draw(st.integers(-(1 << 33), 1 << 33)), 0),
                draw(_bytes),
                draw(_bytes),
                tuple(draw(_headers)),
            )
        )
        offset += 1
    return Batch(
        base,
        tuple(records),
        codec=draw(st.sampled_from(CODECS)),
        append_time=draw(st.none() | st.integers(0, 1 << 42)),
        cut_tail=draw(st.sampled_from((0, 0, 3))),
    )


def joined(batches: Sequence[Batch]) -> bytes:
    """Concatenate the bytes of batches."""
    return b"".join(batch.encode() for batch in batches)
