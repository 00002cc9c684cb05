"""The partition that a key belongs to, exactly as Kafka's Java client decides it.

Predictions and their feedback meet only when both are written to the same partition of their
topics, so every producer of events must agree on this one function: 32-bit murmur2 of the key with
the seed of ``org.apache.kafka.common.utils.Utils.murmur2``, its sign bit cleared, modulo the number
of partitions.

Importing this module needs the standard library alone; numpy is used where it is loaded already.
"""

import sys
from collections.abc import Sequence
from struct import unpack_from
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF
# Below this many keys the fixed cost of array calls exceeds the loop's.
_ARRAY_PAYS_FROM = 32


def murmur2(key: bytes) -> int:
    """Hash a key to an unsigned 32-bit number."""
    size = len(key)
    state = _SEED ^ size
    words = size >> 2
    for word in unpack_from(f"<{words}I", key):
        mixed = (word * _MULTIPLIER) & _MASK
        mixed ^= mixed >> 24
        state = ((state * _MULTIPLIER) & _MASK) ^ ((mixed * _MULTIPLIER) & _MASK)
    rest = key[words << 2 :]
    if rest:
        state = ((state ^ int.from_bytes(rest, "little")) * _MULTIPLIER) & _MASK
    state = ((state ^ (state >> 13)) * _MULTIPLIER) & _MASK
    return state ^ (state >> 15)


def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition of a key.

    Args:
        key: key bytes; the UTF-8 form of an event's ``prediction_id``.
        partitions: number of partitions of the topic, at least 1.
    """
    return (murmur2(key) & _POSITIVE) % partitions


def partitions_for(keys: Sequence[bytes], partitions: int) -> list[int]:
    """Return the partition of each key; same numbers as ``partition_for``.

    The keys are hashed as arrays when the process has loaded numpy and there are enough of them.
    """
    if len(keys) >= _ARRAY_PAYS_FROM and "numpy" in sys.modules:
        placed: list[int] = partition_array(keys, partitions).tolist()
        return placed
    return [(murmur2(key) & _POSITIVE) % partitions for key in keys]


def partition_array(keys: Sequence[bytes], partitions: int) -> "NDArray[np.int64]":
    """Return the partitions of n keys as an array ``int64[n]``; needs numpy.

    Keys of equal length are hashed together, so columns of UUIDs take one pass.
    """
    import numpy as np  # noqa: PLC0415 - publishing services may have no numpy

    hashes = np.empty(len(keys), np.uint32)
    sizes = np.fromiter(map(len, keys), np.int64, len(keys))
    for size in np.unique(sizes).tolist():
        chosen = np.flatnonzero(sizes == size)
        joined = b"".join([keys[row] for row in chosen.tolist()])
        block = np.frombuffer(joined, np.uint8).reshape(len(chosen), size)
        hashes[chosen] = _hash_block(block)
    return (hashes & np.uint32(_POSITIVE)).astype(np.int64) % partitions


def _hash_block(block: "NDArray[np.uint8]") -> "NDArray[Any]":
    """Hash the rows of ``uint8[n, size]`` to ``uint32[n]``."""
    import numpy as np  # noqa: PLC0415 - as above

    rows, size = block.shape
    multiplier = np.uint32(_MULTIPLIER)
    state = np.full(rows, (_SEED ^ size) & _MASK, np.uint32)
    words = size >> 2
    whole = np.ascontiguousarray(block[:, : words << 2]).view("<u4").astype(np.uint32, copy=False)
    for position in range(words):
        mixed = whole[:, position] * multiplier
        mixed ^= mixed >> np.uint32(24)
        state *= multiplier
        state ^= mixed * multiplier
    if size & 3:
        for shift, position in enumerate(range(words << 2, size)):
            state ^= block[:, position].astype(np.uint32) << np.uint32(8 * shift)
        state *= multiplier
    state ^= state >> np.uint32(13)
    state *= multiplier
    state ^= state >> np.uint32(15)
    return state
