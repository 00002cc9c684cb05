"""From id to row: a hash table in one array, looked up a column at a time by compiled loops.

A slot is eight bytes: 32 bits of the id's hash and the row's number plus one; 0 is empty. Slots are
ordered by hash (the home of a hash is its share of the table), probing is linear, and what the row
holds decides: equal hashes only cost a second look. At most 80 % of the slots are in use and a
growing table becomes a fifth larger, so that an entry costs 10 to 12 bytes; as both tables have one
order, growing is one pass over both.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel
from streams.core.join.pages import PAGE_BITS, PageStore
from streams.events.ids import Ids as IdColumn

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ABSENT = -1
LATE = -2
SMALLEST = 1 << 10
_PROVISIONAL = 1 << 31
_LOW = 0xFFFFFFFF


class IdIndex:
    """The ids of a store's rows.

    Args:
        store: the rows.
    """

    def __init__(self, store: PageStore) -> None:
        self._store = store
        self._entries = np.zeros(SMALLEST, dtype=np.uint64)
        self._used = 0

    @property
    def nbytes(self) -> int:
        """Memory that the table holds."""
        return self._entries.nbytes

    def __len__(self) -> int:
        """Count the entries."""
        return self._used

    def admit(self, ids: IdColumn, moment: int, *, replace: bool = False) -> tuple[Bools, Ints]:
        """Look for ids and give those that are not remembered a slot, still without a row.

        Args:
            ids: the ids, which may repeat.
            moment: rows whose retention ended before it, ms, give up their id.
            replace: let every id take over from an earlier one, even within ``ids``.

        Returns:
            Which ids were not remembered, the first of each within ``ids``; and per id its slot
            for :func:`point`, or -1.
        """
        self._reserve(self._used + len(ids))
        store = self._store
        fresh = np.zeros(len(ids), dtype=np.bool_)
        slots = np.empty(len(ids), dtype=np.int64)
        self._used += _admit(
            self._entries,
            store.rows,
            store.retention,
            store.words,
            store.text,
            ids.data,
            ids.at,
            ids.size,
            ids.hashes,
            moment,
            replace,
            fresh,
            slots,
        )
        return fresh, slots

    def point(self, slots: Ints, row: int) -> None:
        """Point slots of :meth:`admit` at consecutive rows, the first of which is ``row``."""
        _point(self._entries, slots, row)

    def locate(self, ids: IdColumn, moment: int) -> tuple[Ints, NDArray[np.int32]]:
        """Find the rows that feedback is about.

        Args:
            ids: ids of predictions.
            moment: event time, ms.

        Returns:
            Per id the row and the number of its model; instead of that ``ABSENT`` where nothing is
            remembered at that moment, and ``LATE`` where the model's horizon has passed.
        """
        store = self._store
        found = np.empty(len(ids), dtype=np.int64)
        kind = np.empty(len(ids), dtype=np.int32)
        _locate(
            self._entries,
            store.rows,
            store.retention,
            store.horizon,
            store.model_of,
            store.words,
            store.text,
            ids.data,
            ids.at,
            ids.size,
            ids.hashes,
            moment,
            found,
            kind,
        )
        return found, kind

    def forget(self, hashes: Ints, row: int) -> None:
        """Remove the entries of consecutive rows, the first of which is ``row``."""
        self._used -= _forget(self._entries, hashes, row)
        if self._used * 4 < len(self._entries) and len(self._entries) > SMALLEST:
            self._rebuild(self._used)

    def _reserve(self, entries: int) -> None:
        if entries * 5 > len(self._entries) * 4:
            self._rebuild(entries)

    def _rebuild(self, entries: int) -> None:
        grown = np.zeros(max(SMALLEST, entries * 3 // 2), dtype=np.uint64)
        _move(self._entries, grown)
        self._entries = grown


@kernel
def _home(tag: np.uint64, capacity: int) -> Any:
    return np.int64((tag * np.uint64(capacity)) >> np.uint64(32))


@kernel
def _same(
    words: NDArray[np.uint32],
    text: NDArray[np.uint8],
    at: Any,
    data: NDArray[np.uint8],
    start: int,
    size: int,
) -> Any:
    """Compare a stored id with a span of bytes."""
    if np.int64(words[at]) != size:
        return False
    base = 4 * at + 4
    differs = np.uint8(0)
    for j in range(size):
        differs |= text[base + j] ^ data[start + j]
    return differs == 0


@kernel
def _alike(data: NDArray[np.uint8], first: int, second: int, size: int) -> Any:
    """Compare two spans of one buffer."""
    differs = np.uint8(0)
    for j in range(size):
        differs |= data[first + j] ^ data[second + j]
    return differs == 0


@kernel
def _admit(
    entries: NDArray[np.uint64],
    rows: NDArray[Any],
    retention: Ints,
    words: NDArray[np.uint32],
    text: NDArray[np.uint8],
    data: NDArray[np.uint8],
    at: Ints,
    size: Ints,
    hashes: Ints,
    moment: int,
    replace: bool,  # noqa: FBT001 - a kernel takes arguments by position
    fresh: Bools,
    slots: Ints,
) -> int:
    """See :meth:`IdIndex.admit`; a slot without a row holds the id's place in the column."""
    capacity = len(entries)
    added = 0
    for i in range(len(at)):
        tag = np.uint64(hashes[i]) & np.uint64(_LOW)
        slot = _home(tag, capacity)
        slots[i] = -1
        while True:
            entry = entries[slot]
            if entry == 0:
                added += 1
                fresh[i] = True
                break
            if entry >> np.uint64(32) == tag:
                low = np.int64(entry & np.uint64(_LOW))
                if low >= _PROVISIONAL:
                    other = low - _PROVISIONAL
                    if size[other] == size[i] and _alike(data, at[other], at[i], size[i]):
                        if replace:
                            slots[other] = -1
                            fresh[i] = True
                        break
                else:
                    row = low - 1
                    if _same(words, text, np.int64(rows[row].id_at), data, at[i], size[i]):
                        fresh[i] = replace or rows[row].ts + retention[row >> PAGE_BITS] < moment
                        break
            slot += 1
            if slot == capacity:
                slot = 0
        if fresh[i]:
            slots[i] = slot
            entries[slot] = (tag << np.uint64(32)) | np.uint64(_PROVISIONAL + i)
    return added


@kernel
def _point(entries: NDArray[np.uint64], slots: Ints, row: int) -> None:
    for i in range(len(slots)):
        if slots[i] >= 0:
            high = entries[slots[i]] & ~np.uint64(_LOW)
            entries[slots[i]] = high | np.uint64(row + i + 1)


@kernel
def _locate(
    entries: NDArray[np.uint64],
    rows: NDArray[Any],
    retention: Ints,
    horizon: Ints,
    model_of: NDArray[np.int32],
    words: NDArray[np.uint32],
    text: NDArray[np.uint8],
    data: NDArray[np.uint8],
    at: Ints,
    size: Ints,
    hashes: Ints,
    moment: int,
    found: Ints,
    kind: NDArray[np.int32],
) -> None:
    """See :meth:`IdIndex.locate`."""
    capacity = len(entries)
    for i in range(len(at)):
        tag = np.uint64(hashes[i]) & np.uint64(_LOW)
        slot = _home(tag, capacity)
        found[i] = ABSENT
        kind[i] = ABSENT
        while entries[slot] != 0:
            entry = entries[slot]
            if entry >> np.uint64(32) == tag:
                row = np.int64(entry & np.uint64(_LOW)) - 1
                if _same(words, text, np.int64(rows[row].id_at), data, at[i], size[i]):
                    frame = row >> PAGE_BITS
                    age = moment - rows[row].ts
                    if age <= retention[frame]:
                        found[i] = row
                        kind[i] = model_of[frame] if age <= horizon[frame] else LATE
                    break
            slot += 1
            if slot == capacity:
                slot = 0


@kernel
def _forget(entries: NDArray[np.uint64], hashes: Ints, row: int) -> int:
    """Delete entries; those behind move up, so that no probe ends before its time."""
    capacity = len(entries)
    removed = 0
    for i in range(len(hashes)):
        tag = np.uint64(hashes[i]) & np.uint64(_LOW)
        wanted = (tag << np.uint64(32)) | np.uint64(row + i + 1)
        slot = _home(tag, capacity)
        while entries[slot] != 0 and entries[slot] != wanted:
            slot += 1
            if slot == capacity:
                slot = 0
        if entries[slot] == 0:
            continue
        removed += 1
        hole = slot
        while True:
            slot += 1
            if slot == capacity:
                slot = 0
            if entries[slot] == 0:
                break
            home = _home(entries[slot] >> np.uint64(32), capacity)
            if (slot - home) % capacity >= (slot - hole) % capacity:
                entries[hole] = entries[slot]
                hole = slot
        entries[hole] = 0
    return removed


@kernel
def _move(old: NDArray[np.uint64], new: NDArray[np.uint64]) -> None:
    """Copy entries into another table."""
    capacity = len(new)
    for i in range(len(old)):
        if old[i] != 0:
            slot = _home(old[i] >> np.uint64(32), capacity)
            while new[slot] != 0:
                slot += 1
                if slot == capacity:
                    slot = 0
            new[slot] = old[i]
