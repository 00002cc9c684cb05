"""How one piece of state travels in a state topic: versioned, compressed, cut into parts.

A value becomes one or more records. Each carries a header: version, flags, the epoch of the
checkpoint that wrote it, its part number, the number of parts, and the size of the whole value::

    byte 0     1      2        10     12      14        18
         | ver | flag | epoch  | part | parts | size    | body ...
         | u8  | u8   | u64    | u16  | u16   | u32     |

All numbers are big-endian. The body of all parts together is the value, as an LZ4 block when
that is smaller.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import cramjam

VERSION = 1
PART_BYTES = 900_000
"""Most bytes of body in one record: with its header it stays below Kafka's usual limit of 1 MiB."""

_HEADER = struct.Struct(">BBQHHI")
_COMPRESSED = 1
_MOST_PARTS = 0xFFFF
_MOST_BYTES = 0xFFFF_FFFF
_WORTH_COMPRESSING = 64


class EnvelopeError(ValueError):
    """A record does not hold what an envelope of this version holds."""


@dataclass(slots=True, frozen=True)
class Part:
    """One record of a value.

    Attributes:
        epoch: checkpoint that wrote it.
        index: which part it is, from 0.
        count: how many parts the value has.
        size: bytes of the whole value.
        compressed: whether all bodies together are an LZ4 block.
        body: its piece.
    """

    epoch: int
    index: int
    count: int
    size: int
    compressed: bool
    body: bytes


def seal(value: bytes, epoch: int) -> list[bytes]:
    """Turn a value into the records that carry it.

    Raises:
        EnvelopeError: the value is too large.
    """
    body, flags = value, 0
    if len(value) > _WORTH_COMPRESSING:
        smaller = bytes(cramjam.lz4.compress_block(value, store_size=False))
        if len(smaller) < len(value):
            body, flags = smaller, _COMPRESSED
    count = max(-(-len(body) // PART_BYTES), 1)
    if count > _MOST_PARTS or len(value) > _MOST_BYTES:
        raise EnvelopeError(f"a piece of state of {len(value)} bytes is too large to store")
    return [
        _HEADER.pack(VERSION, flags, epoch, index, count, len(value))
        + body[index * PART_BYTES : (index + 1) * PART_BYTES]
        for index in range(count)
    ]


def open_part(record: bytes) -> Part:
    """Read one record.

    Raises:
        EnvelopeError: it is damaged or of an unknown version.
    """
    if not record or record[0] != VERSION:
        found = f"version {record[0]}" if record else "an empty value"
        raise EnvelopeError(f"expected version {VERSION}, found {found}")
    if len(record) < _HEADER.size:
        raise EnvelopeError(f"only {len(record)} bytes, the header alone takes {_HEADER.size}")
    _, flags, epoch, index, count, size = _HEADER.unpack_from(record)
    if flags & ~_COMPRESSED or index >= count:
        raise EnvelopeError(f"impossible header: flags {flags}, part {index} of {count}")
    return Part(epoch, index, count, size, bool(flags), record[_HEADER.size :])


def join_parts(parts: Sequence[Part]) -> bytes:
    """Put the parts of one value, all there and in order, together again.

    Raises:
        EnvelopeError: the bodies do not make up the value.
    """
    body = parts[0].body if len(parts) == 1 else b"".join(part.body for part in parts)
    size = parts[0].size
    if parts[0].compressed:
        try:
            body = bytes(cramjam.lz4.decompress_block(body, output_len=size))
        except (cramjam.DecompressionError, ValueError) as error:
            raise EnvelopeError(f"damaged compressed body: {error}") from None
    if len(body) != size:
        raise EnvelopeError(f"{len(body)} bytes where {size} were written")
    return body
