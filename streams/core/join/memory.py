"""The join's memory: what a checkpoint saves, and how a fresh processor gets it back."""

from collections import Counter
from collections.abc import Mapping

import msgspec
import numpy as np

from streams.core.join.early import raw_of
from streams.core.join.pages import LABELLED, MATCHED, PAGE_BITS, PAGE_ROWS
from streams.core.join.state import Delta, EarlyRecord, Marker
from streams.core.join.tick_join import TickJoin
from streams.core.join.waiting import Waiting
from streams.core.processor import StateRecord
from streams.core.ticks import NEVER
from streams.events.intake import FeedbackIntake

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
            records: the live records, in the order in which they were written.
            moment: event time that was reached, ms.
            intake: decodes truth that waits.
        """
        join = self._join
        for name, data in records.items():
            if name.startswith(GROUPS):
                self._restore_groups(data)
        join.early.next_number = marker.early
        claimed: set[int] = set()
        early: list[EarlyRecord] = []
        for name, data in records.items():
            if not name.startswith(GROUPS):
                delta = Delta.decode(name, data)
                self._needed[name] = delta.needed_until
                _apply(join.waiting, delta)
                claimed.update(delta.claimed)
                early += delta.early
        join.waiting.store.reopen(marker.open_pages, marker.next_page)
        given_up = moment - join.longest_wait
        for one in sorted(early, key=lambda one: one.number):
            if one.number not in claimed and one.arrived >= given_up:
                self._restore_early(one, intake)
        for page in join.waiting.store.pages.values():
            page.expire(moment - join.model(page.model).horizon)
        self._settle()

    def _restore_groups(self, data: bytes) -> None:
        for name, members in msgspec.msgpack.decode(data).items():
            model = self._join.model(name)
            model.groups.restore(members)
            self._saved_groups[name] = len(model.groups)

    def _restore_early(self, one: EarlyRecord, intake: FeedbackIntake) -> None:
        rows = intake.decode(one.record, NEVER, one.record.timestamps[0]).rows
        if len(rows):
            rows.raw = raw_of(one.record, one.batch_row)
            self._join.early.add(rows, one.arrived, one.number)

    def _settle(self) -> None:
        """Balance the books where horizons were configured anew since they were written."""
        books, join = self._join.books, self._join
        waiting = sum(page.waiting() for page in join.waiting.store.pages.values())
        books.predictions_expired += books.predictions_waiting - waiting
        books.predictions_waiting = waiting
        books.feedback_orphan += books.feedback_waiting - len(join.early)
        books.feedback_waiting = len(join.early)


def _apply(waiting: Waiting, delta: Delta) -> None:
    for part in delta.rows:
        waiting.put_back(part.page, part.start, part.model, part.score_width, part.rows)
    for change in delta.changes.labels:
        there = np.flatnonzero(waiting.store.holds(change.handles))
        for _, page, positions, slots in waiting.store.by_page(change.handles[there]):
            page.label[slots] = change.label[there[positions]]
            page.label_ts[slots] = change.label_ts[there[positions]]
            page.flags[slots] |= LABELLED | MATCHED
    for handle, key in delta.changes.outcomes:
        if waiting.store.slot_in_use(handle):
            page = waiting.store.pages[handle >> PAGE_BITS]
            slot = handle & (PAGE_ROWS - 1)
            page.outcomes[slot] |= 1 << key[0]
            page.flags[slot] |= MATCHED
            waiting.extras.outcomes.setdefault(handle, set()).add(key)
    for handle, weight in delta.changes.weights.items():
        if waiting.store.slot_in_use(handle):
            waiting.extras.weights[handle] = weight
    for handle, gains in delta.changes.gains.items():
        if waiting.store.slot_in_use(handle):
            waiting.extras.gains[handle] = gains
