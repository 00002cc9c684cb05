"""Truth that came before its prediction, and waits for it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streams.events.columns import FeedbackRows, RawRows
from streams.events.ids import Ids
from streams.events.quarantine import to_outputs
from streams.events.reasons import Reason, Rejected
from streams.wire import Chunk


@dataclass(slots=True, eq=False)
class Early:
    """One row of feedback that waits.

    Attributes:
        number: order of arrival.
        arrived: event time of the tick in which it arrived, ms.
        row: the row alone; its raw reference is a chunk of one record, so that nothing else is
            kept in memory.
    """

    number: int
    arrived: int
    row: FeedbackRows

    @property
    def chunk(self) -> Chunk:
        """The record that the row can be decoded from again."""
        return self.row.raw.chunks[0]

    @property
    def batch_row(self) -> int:
        """Row of the batch that the row came in, -1 where it came alone."""
        return int(self.row.raw.row[0])


def detach(rows: FeedbackRows, index: Sequence[int]) -> list[FeedbackRows]:
    """Chosen rows, each on its own with a record of its own."""
    by_chunk: dict[int, tuple[Chunk, list[int]]] = {}
    for i in index:
        chunk = rows.raw[i].chunk
        by_chunk.setdefault(id(chunk), (chunk, []))[1].append(i)
    values: dict[int, bytes | None] = {}
    for chunk, mine in by_chunk.values():
        # A row of a batch becomes an event of its own, just as quarantine would write it.
        batched = [i for i in mine if rows.raw[i].row is not None]
        found = [Rejected(Reason.LATE, "", rows.raw[i].record, rows.raw[i].row) for i in batched]
        outputs = to_outputs(chunk, found, "")
        values |= {i: output.value for i, output in zip(batched, outputs, strict=True)}
    return [_alone(rows, i, values) for i in index]


def _alone(rows: FeedbackRows, i: int, values: dict[int, bytes | None]) -> FeedbackRows:
    chunk, record, batch_row = rows.raw[i]
    alone = Chunk(
        chunk.source,
        chunk.partition,
        [chunk.offsets[record]],
        [chunk.keys[record]],
        [values.get(i, chunk.values[record])],
        # Its time was judged when it came in, and shall not be found wanting when it is restored.
        [int(rows.ts[i])],
        [chunk.headers[record]],
    )
    row = rows.slice(i, i + 1)
    row.raw = raw_of(alone, -1 if batch_row is None else batch_row)
    return row


def raw_of(record: Chunk, batch_row: int) -> RawRows:
    """Reference of one row to a record of its own, which was a row of a batch unless -1."""
    zero = np.zeros(1, dtype=np.int32)
    return RawRows([record], zero, zero, zero + np.int32(batch_row))


class EarlyTruth:
    """All feedback of a partition that waits for its prediction."""

    def __init__(self) -> None:
        self._by_id: dict[str, list[Early]] = {}
        self._queue: deque[tuple[int, str]] = deque()
        self._numbers: dict[int, Early] = {}
        self.next_number = 0

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._numbers)

    def add(self, row: FeedbackRows, arrived: int, number: int | None = None) -> Early:
        """Let a row wait; times of arrival must not fall."""
        if number is None:
            number = self.next_number
        self.next_number = max(self.next_number, number + 1)
        early = Early(number, arrived, row)
        self._by_id.setdefault(row.ids[0], []).append(early)
        self._numbers[number] = early
        self._queue.append((number, row.ids[0]))
        return early

    def claim(self, ids: Ids) -> list[Early]:
        """Take the rows about some predictions, in order of arrival."""
        if not self._by_id:
            return []
        found = [early for one in self._by_id.keys() & set(ids) for early in self._by_id.pop(one)]
        for early in found:
            del self._numbers[early.number]
        return sorted(found, key=lambda early: early.number)

    def expire(self, before: int) -> list[Early]:
        """Take the rows that arrived before a moment, in order of arrival."""
        gone = []
        while self._queue:
            number, one = self._queue[0]
            early = self._numbers.get(number)
            if early is None:
                self._queue.popleft()
                continue
            if early.arrived >= before:
                break
            self._queue.popleft()
            del self._numbers[number]
            waiting = self._by_id[one]
            waiting.remove(early)
            if not waiting:
                del self._by_id[one]
            gone.append(early)
        return gone
