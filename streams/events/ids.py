"""Prediction ids as a column: their bytes, not an object each.

The 64-bit hash of each id is part of the column, because the join needs it at once. It is SipHash
(Aumasson and Bernstein, 2012) with one round per word and three at the end, keyed per process, so
that nobody can choose ids that collide.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streams.compiled import loop

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Selection = NDArray[np.integer] | NDArray[np.bool_]

#: Key of all hashes of this process, two words.
PROCESS_KEY = np.frombuffer(secrets.token_bytes(16), np.uint64)


@dataclass(slots=True, eq=False)
class Ids:
    """A column of ids; all arrays but ``data`` have one entry per id.

    Attributes:
        data: UTF-8 bytes in which the ids lie anywhere; shape [bytes].
        at: where each id begins.
        size: bytes of each id.
        hashes: keyed hash of each id, the same for the same id all through a process.
    """

    data: Bytes
    at: Ints
    size: Ints
    hashes: Ints

    @classmethod
    def spans(cls, data: Bytes, at: Ints, size: Ints) -> Self:
        """Copy ids out of a buffer, so that it need not be kept."""
        total = int(size.sum())
        kept = np.empty(total, dtype=np.uint8)
        starts = np.empty(len(at), dtype=np.int64)
        hashes = np.empty(len(at), dtype=np.int64)
        _copy(data, at, size, kept, starts)
        hash_spans(kept, starts, size, PROCESS_KEY, hashes)
        return cls(kept, starts, size, hashes)

    @classmethod
    def of(cls, ids: Sequence[str]) -> Self:
        """Make a column of strings.

        >>> list(Ids.of(["a", "ä"]))
        ['a', 'ä']
        """
        encoded = [one.encode() for one in ids]
        size = np.fromiter(map(len, encoded), np.int64, len(encoded))
        data = np.frombuffer(b"".join(encoded), np.uint8)
        return cls.spans(data, np.cumsum(size) - size, size)

    def __len__(self) -> int:
        """Count the ids."""
        return len(self.at)

    def __getitem__(self, index: int) -> str:
        """Spell one id out."""
        return self.bytes_of(index).decode()

    def __iter__(self) -> Iterator[str]:
        """Spell the ids out, one by one."""
        return (self[i] for i in range(len(self)))

    def bytes_of(self, index: int) -> bytes:
        """UTF-8 of one id."""
        start = int(self.at[index])
        return self.data[start : start + int(self.size[index])].tobytes()

    def take(self, index: Selection | slice) -> "Ids":
        """Select ids; their bytes are shared."""
        return Ids(self.data, self.at[index], self.size[index], self.hashes[index])

    def slice(self, start: int, stop: int) -> "Ids":
        """Select the ids ``start:stop``; their bytes are shared."""
        return self.take(slice(start, stop))

    def joined(self) -> Bytes:
        """Bytes of all ids, one after the other."""
        total = int(self.size.sum())
        kept = np.empty(total, dtype=np.uint8)
        _copy(self.data, self.at, self.size, kept, np.empty(len(self), dtype=np.int64))
        return kept

    @staticmethod
    def concat(parts: Sequence["Ids"]) -> "Ids":
        """Append columns to one another; only the bytes in use are copied."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Ids.of([])
        size = np.concatenate([part.size for part in parts])
        data = np.concatenate([part.joined() for part in parts])
        hashes = np.concatenate([part.hashes for part in parts])
        return Ids(data, np.cumsum(size) - size, size, hashes)


@loop
def _copy(data: Bytes, at: Ints, size: Ints, out: Bytes, starts: Ints) -> None:
    end = np.uint64(0)
    one = np.uint64(1)  # unsigned positions need no look at whether they count from the end
    for i in range(len(at)):
        starts[i] = np.int64(end)
        first = np.uint64(at[i])
        for j in range(np.uint64(size[i])):
            out[end] = data[first + j]
            end += one


@loop
def hash_spans(data: Bytes, at: Ints, size: Ints, key: NDArray[np.uint64], out: Ints) -> None:
    """SipHash-1-3 of byte spans; ``key`` has two words."""
    for i in range(len(at)):
        out[i] = np.int64(sip_hash(data, at[i], size[i], key[0], key[1]))


@loop
def sip_hash(data: Bytes, at: int, size: int, k0: np.uint64, k1: np.uint64) -> np.uint64:
    """SipHash-1-3 of ``data[at : at + size]``."""
    v0 = k0 ^ np.uint64(0x736F6D6570736575)
    v1 = k1 ^ np.uint64(0x646F72616E646F6D)
    v2 = k0 ^ np.uint64(0x6C7967656E657261)
    v3 = k1 ^ np.uint64(0x7465646279746573)
    first = np.uint64(at)
    whole = first + np.uint64(size >> 3 << 3)
    while first < whole:
        m = _word(data, first)
        v3 ^= m
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= m
        first += np.uint64(8)
    m = np.uint64(size & 0xFF) << np.uint64(56)
    for j in range(np.uint64(size & 7)):
        m |= np.uint64(data[first + j]) << (np.uint64(8) * j)
    v3 ^= m
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0 ^= m
    v2 ^= np.uint64(0xFF)
    for _ in range(3):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@loop
def _word(data: Bytes, i: np.uint64) -> np.uint64:
    """Read eight bytes, the first the lowest; the compiler makes one load of it."""
    return (
        np.uint64(data[i])
        | np.uint64(data[i + np.uint64(1)]) << np.uint64(8)
        | np.uint64(data[i + np.uint64(2)]) << np.uint64(16)
        | np.uint64(data[i + np.uint64(3)]) << np.uint64(24)
        | np.uint64(data[i + np.uint64(4)]) << np.uint64(32)
        | np.uint64(data[i + np.uint64(5)]) << np.uint64(40)
        | np.uint64(data[i + np.uint64(6)]) << np.uint64(48)
        | np.uint64(data[i + np.uint64(7)]) << np.uint64(56)
    )


@loop
def _rotate(value: np.uint64, bits: int) -> np.uint64:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@loop
def _round(
    v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    v0 += v1
    v2 += v3
    v1 = _rotate(v1, 13) ^ v0
    v3 = _rotate(v3, 16) ^ v2
    v0 = _rotate(v0, 32)
    v2 += v1
    v0 += v3
    v1 = _rotate(v1, 17) ^ v2
    v3 = _rotate(v3, 21) ^ v0
    v2 = _rotate(v2, 32)
    return v0, v1, v2, v3
