"""Names that kernels look for in JSON: of fields, models, features, tags and classes.

Kernels compare bytes as they stand in the document. A name that cannot stand there without an
escape is never found, and every kernel gives up on keys with escapes.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.compiled import loop, signed

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_ESCAPED = {'"', "\\", *map(chr, range(32))}


class Names(NamedTuple):
    """Groups of names with a hash table over all of them.

    Attributes:
        data: UTF-8 of all names, one after the other.
        at: where each name begins.
        size: bytes of each name.
        group: which group each name belongs to.
        table: open addressing with linear probing, at most half full: number of a name + 1, or 0.
    """

    data: Bytes
    at: Ints
    size: Ints
    group: Ints
    table: Ints


def names_of(groups: Sequence[Iterable[str]]) -> Names:
    """Number the names of all groups through, from 0 on; a group holds no name twice."""
    pairs = [(number, name) for number, group in enumerate(groups) for name in group]
    encoded = [name.encode() for _, name in pairs]
    size = np.array([len(one) for one in encoded], dtype=np.int64)
    data = np.frombuffer(b"".join(encoded) or b"\0", np.uint8)
    at = np.cumsum(size) - size
    table = np.zeros(1 << (2 * len(pairs) + 1).bit_length(), dtype=np.int64)
    for slot, (number, name) in enumerate(pairs):
        if not _ESCAPED.isdisjoint(name):
            continue
        place = hash_name(data, int(at[slot]), int(size[slot]), number) & (len(table) - 1)
        while table[place]:
            place = (place + 1) & (len(table) - 1)
        table[place] = slot + 1
    return Names(data, at, size, np.array([number for number, _ in pairs], dtype=np.int64), table)


@loop
def hash_name(data: Bytes, at: int, size: int, group: int) -> int:
    """FNV-1a, cut to 32 bits; the group is mixed in first."""
    state = np.uint64(0x811C9DC5) ^ np.uint64(group)
    for i in range(at, at + size):
        state = ((state ^ np.uint64(data[i])) * np.uint64(0x01000193)) & np.uint64(0xFFFFFFFF)
    return signed(state ^ (state >> np.uint64(15)))


@loop
def same(a: Bytes, i: int, b: Bytes, j: int, size: int) -> bool:
    """Compare bytes of two buffers."""
    for k in range(size):  # noqa: SIM110 - a kernel has no generators
        if a[i + k] != b[j + k]:
            return False
    return True


@loop
def find_name(names: Names, group: int, data: Bytes, at: int, size: int) -> int:
    """Find the number of a name, or -1."""
    mask = len(names.table) - 1
    place = hash_name(data, at, size, group) & mask
    while names.table[place]:
        slot: int = names.table[place] - 1
        if (
            names.size[slot] == size
            and names.group[slot] == group
            and same(names.data, names.at[slot], data, at, size)
        ):
            return slot
        place = (place + 1) & mask
    return -1
