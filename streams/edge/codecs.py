"""Kafka's compression codecs, as the bodies of record batches use them.

All of them release the GIL while they work.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import cramjam
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError

Bytes = Any
"""Anything with the buffer protocol; cramjam returns buffers of its own."""

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4

_GZIP_WINDOW = 31
# What xerial's snappy library, and with it Kafka's Java client, puts before its blocks.
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = 16
_BLOCK_SIZE = struct.Struct(">i")
_MOST_SNAPPY_RATIO = 64
"""No snappy block grows more: a copy of 64 bytes takes at least two. Stops absurd allocations."""


def decompress(codec: int, body: memoryview) -> Bytes:
    """Decompress the body of a batch.

    Args:
        codec: number of the codec in the attributes of the batch, not 0.
        body: the compressed records.

    Raises:
        UnsupportedCodecError: no such codec.
        CorruptRecordException: the body is damaged.
    """
    function = _CODECS.get(codec)
    if function is None:
        raise UnsupportedCodecError(f"unknown compression codec {codec}")
    try:
        return function(body)
    except (cramjam.DecompressionError, zlib.error, struct.error, ValueError) as error:
        raise CorruptRecordException(f"compressed records are damaged: {error}") from error


def _gzip(body: memoryview) -> Bytes:
    parts = []
    while len(body):
        member = zlib.decompressobj(_GZIP_WINDOW)
        parts.append(member.decompress(body))
        if not member.eof:
            raise ValueError("gzip stream ends too early")
        body = memoryview(member.unused_data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _snappy(body: memoryview) -> Bytes:
    if bytes(body[: len(_XERIAL)]) != _XERIAL:
        return _snappy_block(body)
    parts = []
    at = _XERIAL_HEADER
    while at < len(body):
        (size,) = _BLOCK_SIZE.unpack_from(body, at)
        at += _BLOCK_SIZE.size
        if not 0 <= size <= len(body) - at:
            raise ValueError(f"snappy block of {size} bytes in {len(body) - at}")
        parts.append(_snappy_block(body[at : at + size]))
        at += size
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _snappy_block(block: memoryview) -> Bytes:
    if cramjam.snappy.decompress_raw_len(block) > len(block) * _MOST_SNAPPY_RATIO:
        raise ValueError("snappy block claims an impossible size")
    return cramjam.snappy.decompress_raw(block)


_CODECS: Mapping[int, Callable[[memoryview], Bytes]] = {
    GZIP: _gzip,
    SNAPPY: _snappy,
    LZ4: cramjam.lz4.decompress,
    ZSTD: cramjam.zstd.decompress,
}
