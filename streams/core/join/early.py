"""Truth that came before its prediction, and waits for it."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.events.columns import FeedbackRows, RawRows
from streams.events.ids import Ids
from streams.events.quarantine import to_outputs
from streams.events.reasons import Reason, Rejected
from streams.wire import NULL, Chunk, Header, Packed

Ints = NDArray[np.int64]

_SMALLEST_FILTER = 1 << 10


def pick(rows: FeedbackRows, index: Ints) -> FeedbackRows:
    """Chosen rows; their records stay where they are."""
    items = {}
    if rows.items:
        chosen = enumerate(index.tolist())
        items = {new: rows.items[old] for new, old in chosen if old in rows.items}
    raw = rows.raw
    return FeedbackRows(
        ids=rows.ids.take(index),
        ts=rows.ts[index],
        clock=rows.clock[index],
        offset=rows.offset[index],
        number=rows.number[index],
        text=rows.text.take(index).compact(),
        items=items,
        is_bool=None if rows.is_bool is None else rows.is_bool[index],
        event=rows.event.take(index).compact(),
        item=rows.item.take(index).compact(),
        value=rows.value[index],
        weight=rows.weight[index],
        raw=RawRows(raw.chunks, raw.chunk[index], raw.record[index], raw.row[index]),
    )


def detach(rows: FeedbackRows, index: Ints) -> FeedbackRows:
    """Chosen rows with a record for each, so that nothing else is kept in memory."""
    chosen = pick(rows, index)
    chosen.ids = Ids.spans(chosen.ids.data, chosen.ids.at, chosen.ids.size)
    chunk = _records(chosen)
    n = len(chosen)
    places = np.arange(n, dtype=np.int32)
    chosen.raw = RawRows([chunk], np.zeros(n, dtype=np.int32), places, chosen.raw.row)
    return chosen


def _records(rows: FeedbackRows) -> Chunk:
    """Make a record for each row."""
    n, raw = len(rows), rows.raw
    offsets = np.empty(n, dtype=np.int64)
    spans = np.full((2, n), NULL, dtype=np.int64)
    pieces: list[tuple[list[bytes], list[bytes]]] = [([b""] * n, [b""] * n)]
    keys, values = pieces[0]
    headers: dict[int, tuple[Header, ...]] = {}
    for number, chunk in enumerate(raw.chunks):
        mine = np.flatnonzero(raw.chunk == number)
        if not len(mine):
            continue
        packed, record = chunk.packed, raw.record[mine]
        offsets[mine] = packed.offsets[record]
        made = _from_batches(chunk, raw, mine)
        for side, held, at, size in (
            (0, keys, packed.key_at, packed.key_size),
            (1, values, packed.value_at, packed.value_size),
        ):
            spans[side, mine] = size[record]
            data = packed.data.data
            starts, sizes = at[record].tolist(), size[record].tolist()
            for i, start, length in zip(mine.tolist(), starts, sizes, strict=True):
                held[i] = bytes(data[start : start + max(length, 0)])
        for i, value in made.items():
            values[i] = value
            spans[1, i] = len(value)
        if packed.headers:
            found = zip(mine.tolist(), record.tolist(), strict=True)
            headers |= {i: packed.headers[r] for i, r in found if r in packed.headers}
    sizes = np.maximum(spans.ravel(), 0)
    at = np.cumsum(sizes) - sizes
    return Chunk.of(
        raw.chunks[0].source,
        raw.chunks[0].partition,
        Packed(
            np.frombuffer(bytearray().join([*keys, *values]), np.uint8),
            offsets,
            # Their time was judged when they came in, and shall not be found wanting later.
            rows.ts.copy(),
            at[:n],
            spans[0],
            at[n:],
            spans[1],
            headers,
        ),
    )


def _from_batches(chunk: Chunk, raw: RawRows, mine: Ints) -> dict[int, bytes]:
    """Rows of batches as events of their own, just as quarantine would write them."""
    batched = mine[raw.row[mine] >= 0].tolist()
    if not batched:
        return {}
    found = [Rejected(Reason.LATE, "", int(raw.record[i]), int(raw.row[i])) for i in batched]
    outputs = to_outputs(chunk, found, "")
    return {i: output.value for i, output in zip(batched, outputs, strict=True)}


@dataclass(slots=True, eq=False)
class _Batch:
    """Rows that began to wait in one tick; ``left`` counts those that still do."""

    numbers: Ints
    arrived: int
    rows: FeedbackRows
    waiting: NDArray[np.bool_]
    left: int


class EarlyTruth:
    """All feedback of a partition that waits for its prediction."""

    def __init__(self) -> None:
        self._batches: deque[_Batch] = deque()
        self._by_id: dict[bytes, list[tuple[_Batch, int]]] = {}
        # How many ids have a hash that ends in some bits: most predictions are told from it that
        # nothing waits for them.
        self._filter = np.zeros(_SMALLEST_FILTER, dtype=np.int32)
        self._count = 0
        self.next_number = 0

    def __len__(self) -> int:
        """Count the rows."""
        return self._count

    def add(self, rows: FeedbackRows, arrived: int, numbers: Ints | None = None) -> int:
        """Let rows wait; gives the number of the first.

        Args:
            rows: the rows, detached.
            arrived: event time of the tick in which they arrived, ms; must not fall.
            numbers: their numbers, where they waited before.
        """
        n = len(rows)
        if numbers is None:
            numbers = np.arange(self.next_number, self.next_number + n, dtype=np.int64)
        self.next_number = max(self.next_number, int(numbers[-1]) + 1)
        batch = _Batch(numbers, arrived, rows, np.ones(n, dtype=np.bool_), n)
        self._batches.append(batch)
        for i in range(n):
            self._by_id.setdefault(rows.ids.bytes_of(i), []).append((batch, i))
        self._count += n
        if self._count * 8 > len(self._filter):
            self._filter = np.zeros(_size(self._count), dtype=np.int32)
            for one in self._batches:
                self._mark(one.rows.ids.hashes[one.waiting], 1)
        else:
            self._mark(rows.ids.hashes, 1)
        return int(numbers[0])

    def _mark(self, hashes: Ints, by: int) -> None:
        np.add.at(self._filter, hashes & (len(self._filter) - 1), by)

    def _let_go(self, batch: _Batch, i: int) -> None:
        batch.waiting[i] = False
        batch.left -= 1
        self._count -= 1
        self._mark(batch.rows.ids.hashes[i : i + 1], -1)

    def claim(self, ids: Ids) -> tuple[FeedbackRows, Ints, int] | None:
        """Take the rows about some predictions, in order of arrival.

        Returns:
            The rows, their numbers, and when the last of them arrived; None where there are none.
        """
        if not self._count:
            return None
        likely = np.flatnonzero(self._filter[ids.hashes & (len(self._filter) - 1)])
        found: list[tuple[_Batch, int]] = []
        for i in likely.tolist():
            found += self._by_id.pop(ids.bytes_of(i), ())
        if not found:
            return None
        by_batch: dict[int, tuple[_Batch, list[int]]] = {}
        for batch, i in found:
            by_batch.setdefault(int(batch.numbers[0]), (batch, []))[1].append(i)
            self._let_go(batch, i)
        parts, numbers = [], []
        for _, (batch, mine) in sorted(by_batch.items()):
            chosen = np.array(sorted(mine), dtype=np.int64)
            parts.append(pick(batch.rows, chosen))
            numbers.append(batch.numbers[chosen])
        while self._batches and not self._batches[0].left:
            self._batches.popleft()
        last = by_batch[max(by_batch)][0].arrived
        return FeedbackRows.concat(parts), np.concatenate(numbers), last

    def expire(self, before: int) -> list[tuple[int, FeedbackRows]]:
        """Take the rows that arrived before a moment, by time of arrival."""
        gone = []
        while self._batches and self._batches[0].arrived < before:
            batch = self._batches.popleft()
            rest = np.flatnonzero(batch.waiting)
            if not len(rest):
                continue
            for i in rest.tolist():
                one = batch.rows.ids.bytes_of(i)
                held = self._by_id[one]
                held.remove((batch, i))
                if not held:
                    del self._by_id[one]
                self._let_go(batch, i)
            gone.append((batch.arrived, pick(batch.rows, rest)))
        return gone


def _size(count: int) -> int:
    size: int = 1 << max(10, (count * 16 - 1).bit_length())
    return size
