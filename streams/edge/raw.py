"""Reads what a fetch brought from a partition into columns, with no object per record.

The rules, which batches count and where the consumer stands afterwards, are those of aiokafka's
``PartitionRecords``. Old message formats (0 and 1, before Kafka 0.11) are left to aiokafka.
"""

import struct
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from numpy.typing import NDArray

from streams.edge import walk as rows
from streams.edge.codecs import Bytes, decompress
from streams.edge.headers import LazyHeaders
from streams.edge.legacy import checksum_holds, read_legacy
from streams.wire import Header, Packed

_HEADER = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and last
timestamp, producer's id and epoch, base sequence, number of records."""
_LENGTH = struct.Struct(">i")
_LENGTH_AT = 8
_COUNTED_FROM = 12
"""The length counts the bytes from here on; older formats begin alike."""
_MAGIC_AT = 16
_CRC_FROM = 21
_MAGIC = 2
_CODEC, _APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_SPECIAL = _TRANSACTIONAL | _CONTROL
_LAST_OFFSET = (1 << 63) - (1 << 32)
"""Beyond it offsets behind a batch could overflow."""
_SMALLEST_RECORD = 7
"""Bytes of a record of nothing: no count can be true that has less for each."""
_NO_HEADERS: Mapping[int, tuple[Header, ...]] = {}


class RawRecords:
    """The bytes that a fetch brought from a partition; stands for aiokafka's ``MemoryRecords``."""

    def __init__(self, data: bytes) -> None:
        """Keep the bytes."""
        self.data = data

    def size_in_bytes(self) -> int:
        """Count the bytes."""
        return len(self.data)

    def has_next(self) -> bool:
        """Tell whether there is at least one whole batch."""
        return _batch_end(self.data, 0) is not None


class PackedRecords:
    """The records that a fetch brought; stands for aiokafka's ``PartitionRecords``.

    Attributes:
        next_fetch_offset: position of the consumer once it has what was taken so far.
    """

    def __init__(
        self,
        tp: TopicPartition,
        records: RawRecords,
        aborted_transactions: Iterable[tuple[int, int]] | None,
        fetch_offset: int,
        key_deserializer: Callable[[bytes], object] | None,  # noqa: ARG002 - aiokafka's signature; records stay bytes
        value_deserializer: Callable[[bytes], object] | None,  # noqa: ARG002 - as above
        check_crcs: bool,  # noqa: FBT001 - as above
        isolation_level: int,
    ) -> None:
        """Keep the bytes; they are read when records are taken."""
        self.next_fetch_offset = fetch_offset
        self._tp = tp
        self._data = records.data
        self._at = 0
        self._position = fetch_offset  # of what was read, which may be more than was taken
        self._aborted = sorted(aborted_transactions or (), key=lambda one: one[1], reverse=True)
        self._aborting: set[int] = set()
        self._check_crcs = check_crcs
        self._isolation_level = isolation_level
        self._ready: Packed | None = None
        self._fault: CorruptRecordException | None = None

    @property
    def exhausted(self) -> bool:
        """Tell whether everything has been taken."""
        return self._ready is None and self._fault is None and self._batch_end() is None

    def take(self, limit: int) -> Packed:
        """Take the next records, and move the position behind them.

        Several batches come together as long as they have no more than ``limit`` records; larger
        ones are cut. The result may be empty when batches hold nothing for us.

        Args:
            limit: most records, at least 1.

        Raises:
            CorruptRecordException: the next batch is damaged. What came before it was returned by
                earlier calls.
        """
        packed = self._read(limit) if self._ready is None else self._ready
        if len(packed) > limit:
            self._ready = packed.slice(limit, len(packed))
            packed = packed.slice(0, limit)
            self.next_fetch_offset = int(packed.offsets[-1]) + 1
        else:
            self._ready = None
            self.next_fetch_offset = self._position
        return packed

    def _batch_end(self) -> int | None:
        return _batch_end(self._data, self._at)

    def _read(self, limit: int) -> Packed:
        if self._fault is not None:
            raise self._fault
        if self._is_legacy(self._at, self._batch_end()):
            return self._read_legacy(limit)
        view = memoryview(self._data)
        bodies: list[Bytes] = []
        batches: list[tuple[int, ...]] = []
        compressed = False
        position, records = self._position, 0
        while True:
            try:
                header = self._header(view)
                if header is None:
                    break
                base, length, _, _, _, attributes, last, first_ms, last_ms, *_, count = header
                if batches and records + count > limit:
                    break
                end, behind = self._at + _COUNTED_FROM + length, base + last + 1
                ordinary = not (attributes & _SPECIAL or self._aborted)
                if ordinary or self._wanted(header, end):
                    start = self._at + _HEADER.size
                    body: Bytes = view[start:end]
                    if attributes & _CODEC:
                        compressed = True
                        body = decompress(attributes & _CODEC, body)
                    size = len(body)
                    if not 0 <= count <= size // _SMALLEST_RECORD:
                        raise self._damaged(f"{count} records in {size} bytes")
                    bodies.append(body)
                    stamp, step = (last_ms, 0) if attributes & _APPEND_TIME else (first_ms, 1)
                    batches.append((start, size, base, behind, stamp, step, count))
                    records += count
            except CorruptRecordException as error:
                if not batches:
                    raise self._damaged(str(error)) from error
                break  # it is raised when what came before has been taken
            self._at = end
            # Compaction may have removed the last records, but not the place where they were.
            self._position = max(self._position, behind)
        data, described = self._joined(bodies, batches, compressed=compressed)
        return self._walk(data, described, position, records)

    def _walk(
        self,
        data: NDArray[np.uint8],
        batches: NDArray[np.int64],
        position: int,
        records: int,
    ) -> Packed:
        table = np.empty((rows.RECORD_ROWS, records), dtype=np.int64)
        found, good = rows.walk(data, batches, position, table)
        if good < len(batches):
            self._fault = self._damaged(f"a record from offset {batches[good, rows.BASE]} on")
            if not good:
                raise self._fault
            self._position = int(batches[good - 1, rows.NEXT])
        table = table[:, :found]
        headers_at = table[rows.HEADERS_AT]
        any_headers = found and int(headers_at.max()) >= 0
        headers = LazyHeaders(data, headers_at) if any_headers else _NO_HEADERS
        return Packed(
            data,
            table[rows.OFFSET],
            table[rows.TIMESTAMP],
            table[rows.KEY_AT],
            table[rows.KEY_SIZE],
            table[rows.VALUE_AT],
            table[rows.VALUE_SIZE],
            headers,
        )

    def _joined(
        self, bodies: list[Bytes], batches: list[tuple[int, ...]], *, compressed: bool
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        described = np.array(batches, dtype=np.int64).reshape(-1, rows.BATCH_COLUMNS)
        if not compressed:
            return np.frombuffer(self._data, np.uint8), described
        sizes = described[:, rows.SIZE]
        described[:, rows.AT] = np.cumsum(sizes) - sizes
        data = bodies[0] if len(bodies) == 1 else b"".join(bodies)
        # Read-only, as every other buffer of records: kernels are compiled for one of the two.
        return np.frombuffer(memoryview(data).toreadonly(), np.uint8), described

    def _is_legacy(self, at: int, end: int | None) -> bool:
        """Tell whether a batch, if there is one, is of an older format."""
        if end is None or end - at <= _MAGIC_AT:
            return False
        return self._data[at + _MAGIC_AT] < _MAGIC

    def _header(self, view: memoryview) -> tuple[int, ...] | None:
        """Read and check the header of the next batch.

        Returns:
            None when there is none, or when it is of an older format.
        """
        at, left = self._at, len(view) - self._at
        if left < _HEADER.size:
            end = self._batch_end()
            if end is None or self._is_legacy(at, end):
                return None
            raise self._damaged(f"a batch of {end - at} bytes")
        header = _HEADER.unpack_from(view, at)
        size = _COUNTED_FROM + header[1]
        if size > left:
            return None
        if header[3] != _MAGIC or size < _HEADER.size:
            if self._is_legacy(at, at + size):
                return None
            raise self._damaged(f"a batch of {size} bytes in format {header[3]}")
        if self._check_crcs and calc_crc32c(view[at + _CRC_FROM : at + size]) != header[4]:
            raise self._damaged("wrong checksum")
        if not 0 <= header[0] <= _LAST_OFFSET:
            raise self._damaged(f"a batch from offset {header[0]} on")
        return header

    def _wanted(self, header: tuple[int, ...], end: int) -> bool:
        """Tell whether the records of a batch are for us; keeps books on aborted transactions."""
        attributes = header[5]
        if self._isolation_level == READ_COMMITTED:
            while self._aborted and self._aborted[-1][1] <= header[0]:
                self._aborting.add(self._aborted.pop()[0])
            if attributes & _CONTROL and self._is_abort(end):
                # The broker may tell of an abort in a partition that has nothing of it.
                self._aborting.discard(header[9])
            if attributes & _TRANSACTIONAL and header[9] in self._aborting:
                return False
        return not attributes & _CONTROL

    def _is_abort(self, end: int) -> bool:
        marker = next(iter(DefaultRecordBatch(self._data[self._at : end])), None)
        if marker is None or marker.key is None or len(marker.key) < _LENGTH.size:
            raise self._damaged("a transaction marker without content")
        return bool(ControlRecord.parse(marker.key) == ABORT_MARKER)

    def _read_legacy(self, limit: int) -> Packed:
        start = at = self._at
        for _ in range(limit):
            end = _batch_end(self._data, at)
            if end is None or not self._is_legacy(at, end):
                break
            if self._check_crcs and not checksum_holds(memoryview(self._data)[at:end]):
                if at > start:
                    break
                raise self._damaged("wrong checksum")
            at = end
        try:
            packed, behind = read_legacy(self._tp, self._data[start:at], self._position)
        except Exception as error:
            raise self._damaged(f"a record of an old format: {error!r}") from error
        self._at, self._position = at, behind
        return packed

    def _damaged(self, what: str) -> CorruptRecordException:
        return CorruptRecordException(
            f"{self._tp.topic}, partition {self._tp.partition}, from offset {self._position} on: "
            f"damaged data: {what}"
        )


def _batch_end(data: bytes, at: int) -> int | None:
    """Return where a batch ends, None when it is not whole."""
    if len(data) - at < _COUNTED_FROM:
        return None
    (length,) = _LENGTH.unpack_from(data, at + _LENGTH_AT)
    end: int = at + _COUNTED_FROM + length
    return None if end > len(data) else end
