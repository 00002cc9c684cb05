"""Truth that came before its prediction, and waits for it."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from streams.events.columns import FeedbackRows, RawRows
from streams.events.quarantine import to_output
from streams.events.reasons import Reason, Rejected
from streams.wire import Chunk


@dataclass(slots=True)
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


def detach(rows: FeedbackRows, i: int) -> FeedbackRows:
    """One row on its own, with a record of its own."""
    chunk, record, batch_row = rows.raw[i]
    value = chunk.values[record]
    if batch_row is not None:
        # The row as an event of its own, just as quarantine would write it.
        value = to_output(chunk, Rejected(Reason.LATE, "", record, batch_row), "").value
    alone = Chunk(
        chunk.source,
        chunk.partition,
        [chunk.offsets[record]],
        [chunk.keys[record]],
        [value],
        [chunk.timestamps[record]],
        [chunk.headers[record]],
    )
    row = rows.slice(i, i + 1)
    zero = np.zeros(1, dtype=np.int32)
    row.raw = RawRows([alone], zero, zero, zero - 1)
    return row


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

    def claim(self, ids: list[str]) -> list[Early]:
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
