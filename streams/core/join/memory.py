"""The join's memory: what a checkpoint saves, and how a fresh processor gets it back."""

from collections import Counter
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.core.join.early import detach
from streams.core.join.pages import (
    MATCHED,
    MOST_CLASSES,
    PAGE_ROWS,
    WEIGHTED,
    Kind,
    NewRows,
)
from streams.core.join.state import Delta, EarlyRecords, Marker, NewPage
from streams.core.join.tick_join import TickJoin
from streams.core.processor import StateRecord
from streams.core.ticks import NEVER
from streams.events.intake import FeedbackIntake

Ints = NDArray[np.int64]

GROUPS = "groups"


class Memory:
    """Names the records of one partition's state, and knows which are still needed.

    Args:
        join: what is saved and restored.
    """

    def __init__(self, join: TickJoin) -> None:
        self._join = join
        self._needed: dict[str, int] = {}
        self._saved_groups: Counter[str] = Counter()

    def save(self, number: int, delta: Delta, moment: int) -> list[StateRecord]:
        """Make the records of a checkpoint.

        Args:
            number: number of the checkpoint.
            delta: what came since the last one.
            moment: event time that was reached, ms.
        """
        records = []
        if delta:
            name = f"delta-{number:012d}"
            records.append(StateRecord(name, delta.encode()))
            self._needed[name] = delta.needed_until
        for name in [n for n, until in self._needed.items() if until < moment]:
            del self._needed[name]
            records.append(StateRecord(name, None))
        added = {}
        for name, model in self._join.models.items():
            if len(model.groups) > self._saved_groups[name]:
                added[name] = model.groups.added_since(self._saved_groups[name])
                self._saved_groups[name] = len(model.groups)
        if added:
            packed = msgspec.msgpack.encode(added)
            records.append(StateRecord(f"{GROUPS}-{number:012d}", packed))
        return records

    def restore(
        self, marker: Marker, records: Mapping[str, bytes], moment: int, intake: FeedbackIntake
    ) -> None:
        """Take everything back; raises StateError where a record cannot be read.

        Args:
            marker: the checkpoint's marker.
            records: the live records.
            moment: event time that was reached, ms.
            intake: decodes truth that waits.
        """
        join = self._join
        # By their numbers, not as they lie in the log: someone may have repaired a record, and
        # what changes a row must come after it.
        records = dict(sorted(records.items()))
        for name, data in records.items():
            if name.startswith(GROUPS):
                self._restore_groups(data)
        join.early.next_number = marker.early
        claimed: list[Ints] = []
        early: list[EarlyRecords] = []
        for name, data in records.items():
            if not name.startswith(GROUPS):
                delta = Delta.decode(name, data)
                self._needed[name] = delta.needed_until
                _apply(join, delta)
                claimed += delta.claimed
                early += delta.early
        join.waiting.store.reopen(marker.open_pages, marker.next_page)
        given_up = moment - join.longest_wait
        gone = np.concatenate([*claimed, np.zeros(0, dtype=np.int64)])
        for one in sorted(early, key=lambda one: one.number):
            if one.arrived >= given_up:
                self._restore_early(one, gone, intake)
        for _ in join.waiting.expire(moment):
            pass
        self._settle()

    def _restore_groups(self, data: bytes) -> None:
        for name, members in msgspec.msgpack.decode(data).items():
            model = self._join.model(name)
            model.groups.restore(members)
            self._saved_groups[name] = len(model.groups)

    def _restore_early(self, one: EarlyRecords, claimed: Ints, intake: FeedbackIntake) -> None:
        rows = intake.decode(one.chunk, NEVER, one.chunk.timestamps[0]).rows
        record = rows.raw.record
        rows.raw.row = one.batch_row[record]
        numbers = one.number + record.astype(np.int64)
        left = np.flatnonzero(~np.isin(numbers, claimed))
        if len(left):
            self._join.early.add(detach(rows, left), one.arrived, numbers[left])

    def _settle(self) -> None:
        """Balance the books where horizons were configured anew since they were written."""
        books, join = self._join.books, self._join
        waiting = join.waiting.store.waiting()
        books.predictions_expired += books.predictions_waiting - waiting
        books.predictions_waiting = waiting
        books.feedback_orphan += books.feedback_waiting - len(join.early)
        books.feedback_waiting = len(join.early)


def _apply(join: TickJoin, delta: Delta) -> None:
    waiting, store = join.waiting, join.waiting.store
    for part in delta.rows:
        kind = join.model(part.model).kind
        waiting.put_back(kind, part.page, part.start, _fitting(part, kind))
    for change in delta.changes.labels:
        rows = store.rows_of(change.handles)
        there = np.flatnonzero(rows >= 0)
        store.label(rows[there], change.label[there], change.label_ts[there])
    for handle, key in delta.changes.outcomes:
        row = store.row_of(handle)
        if row >= 0:
            store.rows["flags"][row] |= MATCHED
            store.page_of(row).outcomes.setdefault(handle & (PAGE_ROWS - 1), set()).add(key)
    for handle, weight in delta.changes.weights.items():
        row = store.row_of(handle)
        if row >= 0:
            store.rows["flags"][row] |= WEIGHTED
            store.page_of(row).weights[handle & (PAGE_ROWS - 1)] = weight
    for handle, gains in delta.changes.gains.items():
        row = store.row_of(handle)
        if row >= 0:
            store.page_of(row).gains[handle & (PAGE_ROWS - 1)] = gains


def _fitting(part: NewPage, kind: Kind) -> NewRows:
    """Rows as their model wants them, which may have been configured anew since."""
    rows = part.rows
    if part.score_width != kind.width:
        rows.score = None
    if not kind.regression:
        known = (rows.predicted >= 0) & (rows.predicted <= MOST_CLASSES)
        rows.predicted = np.where(known, rows.predicted, np.nan)
    return rows
