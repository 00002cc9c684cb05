"""From id to handle: a hash table in two arrays, looked up a column at a time.

A Python dictionary of strings costs about 200 bytes an entry; this costs 27 to 64, as slots of 16
bytes are at most 60 % full. Entries are never deleted one by one: rows expire by whole pages, and
entries of pages that are gone fall out when the table is rebuilt.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
ABSENT = -1


class IdIndex:
    """Open addressing with linear probing over int64 hashes.

    Args:
        alive: tells which of an array of handles still lead to a row.
    """

    def __init__(self, alive: Callable[[Ints], NDArray[np.bool_]]) -> None:
        self._alive = alive
        self._allocate(1 << 12)

    def _allocate(self, capacity: int) -> None:
        self._mask = capacity - 1
        self._hashes = np.zeros(capacity, dtype=np.int64)
        self._handles = np.full(capacity, ABSENT, dtype=np.int64)
        self._used = 0

    @property
    def nbytes(self) -> int:
        """Memory that the table holds."""
        return self._hashes.nbytes + self._handles.nbytes

    def __len__(self) -> int:
        """Count the entries, those of dropped rows included."""
        return self._used

    def _slot(self, hashes: Ints) -> Ints:
        # The ids' hash is uniform in all its bits.
        return hashes & self._mask

    def find(self, hashes: Ints) -> Ints:
        """Handle of each hash, ABSENT where there is none."""
        slots = self._slot(hashes)
        found = self._handles[slots]
        open_ = np.flatnonzero((found != ABSENT) & (self._hashes[slots] != hashes))
        while len(open_):
            slots[open_] = (slots[open_] + 1) & self._mask
            handles = self._handles[slots[open_]]
            found[open_] = handles
            differs = (handles != ABSENT) & (self._hashes[slots[open_]] != hashes[open_])
            open_ = open_[differs]
        return found

    def put(self, hashes: Ints, handles: Ints) -> None:
        """Point hashes at handles; replaces earlier ones, of equal hashes any one wins."""
        if (self._used + len(hashes)) * 5 > (self._mask + 1) * 3:
            self._rebuild(len(hashes))
        slots = self._slot(hashes)
        todo = np.arange(len(hashes))
        while len(todo):
            at = slots[todo]
            empty = self._handles[at] == ABSENT
            free = todo[empty]
            # Of several that want one empty slot the last written wins; the others see its hash.
            self._hashes[slots[free]] = hashes[free]
            self._handles[slots[free]] = handles[free]
            settled = self._hashes[at] == hashes[todo]
            winners = todo[settled]
            self._handles[slots[winners]] = handles[winners]
            # Counts a slot once for each equal hash: too many, if ever, and only until a rebuild.
            self._used += int((settled & empty).sum())
            todo = todo[~settled]
            slots[todo] = (slots[todo] + 1) & self._mask

    def _rebuild(self, extra: int) -> None:
        kept = np.flatnonzero(self._handles != ABSENT)
        hashes, handles = self._hashes[kept], self._handles[kept]
        alive = self._alive(handles)
        hashes, handles = hashes[alive], handles[alive]
        capacity = 1 << 12
        while (len(hashes) + extra) * 2 > capacity:
            capacity *= 2
        self._allocate(capacity)
        if len(hashes):
            self.put(hashes, handles)
