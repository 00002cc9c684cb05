"""Predictions in memory: pages, the index of their ids, and what little is kept beside columns."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streams.config import LoadedModel
from streams.core.join.groups import Groups
from streams.core.join.index import ABSENT, IdIndex
from streams.core.join.pages import PAGE_BITS, PAGE_ROWS, NewRows, PageStore, Placed
from streams.core.layout import Layout, layout_of
from streams.events.ids import Ids as IdColumn

Ints = NDArray[np.int64]
OutcomeKey = tuple[int, str, int]
"""Outcome, item ("" for none) and event time: the same event sent twice has the same key."""


class ModelState:
    """What a partition keeps about one model besides its rows."""

    def __init__(self, model: LoadedModel) -> None:
        config = model.config
        self.config = config
        self.layout: Layout = layout_of(model)
        self.groups = Groups(config)
        self.horizon = config.label_horizon
        self.retention = config.label_horizon + config.remember
        self.score_width = {"binary": 1, "multiclass": len(config.classes)}.get(config.task, 0)
        watched = {detector.on for detector in config.detectors}
        self.series: tuple[str, ...] = tuple(sorted(watched))


@dataclass(slots=True)
class Extras:
    """Facts about few rows, by handle; forgotten with the rows' pages.

    Attributes:
        weights: weight of the label that counts, where it is not 1.
        gains: gain by item of the truth of a ranking.
        outcomes: outcome events seen.
    """

    weights: dict[int, float] = field(default_factory=dict)
    gains: dict[int, dict[str, float]] = field(default_factory=dict)
    outcomes: dict[int, set[OutcomeKey]] = field(default_factory=dict)

    def drop(self, page: int) -> None:
        """Forget the rows of a page."""
        low, high = page << PAGE_BITS, (page + 1) << PAGE_BITS
        for table in (self.weights, self.gains, self.outcomes):
            if table:
                for handle in [h for h in table if low <= h < high]:
                    del table[handle]


class Waiting:
    """All predictions that a partition remembers: waiting, joined, or expired but remembered."""

    def __init__(self) -> None:
        self.store = PageStore()
        self.index = IdIndex(self.store.alive)
        self.extras = Extras()
        # Ids whose hash another id holds already: one pair in 10**5 years at full load, but
        # counting a label for the wrong prediction is not an answer.
        self._collided: dict[str, int] = {}

    def find(self, ids: IdColumn) -> Ints:
        """Handle of each id, ABSENT where it is not remembered."""
        handles = self._find(ids)
        if self._collided:
            # The id that holds the hash may be gone, and with it the entry.
            for i in np.flatnonzero(handles == ABSENT).tolist():
                handles[i] = self._collided.get(ids[i], ABSENT)
        return handles

    def _find(self, ids: IdColumn) -> Ints:
        handles = self.index.find(ids.hashes)
        held = np.flatnonzero(handles != ABSENT)
        if not len(held):
            return handles
        alive = self.store.alive(handles[held])
        handles[held[~alive]] = ABSENT
        held = held[alive]
        for _, page, positions, slots in self.store.by_page(handles[held]):
            rows = held[positions]
            asked = ids.take(rows)
            same = page.same_ids(slots, asked.joined(), asked.size)
            handles[rows[~same]] = ABSENT
        return handles

    def add(self, model: str, score_width: int, rows: NewRows) -> tuple[Ints, list[Placed]]:
        """Remember new predictions, whose ids are distinct and not remembered yet."""
        handles, placed = self.store.append(model, score_width, rows)
        self._point(rows.ids, handles)
        return handles, placed

    def put_back(self, page: int, start: int, model: str, score_width: int, rows: NewRows) -> None:
        """Restore rows to where they were."""
        self.store.restore(page, start, model, score_width, rows)
        handles = np.arange(start, start + len(rows), dtype=np.int64) + (page << PAGE_BITS)
        self._point(rows.ids, handles)

    def _point(self, ids: IdColumn, handles: Ints) -> None:
        if self._collided:
            for one in ids:
                self._collided.pop(one, None)
        before = self.index.find(ids.hashes)
        taken = np.flatnonzero(before != ABSENT)
        taken = taken[self.store.alive(before[taken])] if len(taken) else taken
        if len(taken):
            self._point_taken(ids, handles, before, taken)
            free = np.ones(len(ids), dtype=np.bool_)
            free[taken] = False
            ids, handles = ids.take(free), handles[free]
        self.index.put(ids.hashes, handles)
        lost = np.flatnonzero(self.index.find(ids.hashes) != handles)
        for i in lost.tolist():
            self._collided[ids[i]] = int(handles[i])

    def _point_taken(self, ids: IdColumn, handles: Ints, before: Ints, taken: Ints) -> None:
        """Hashes that lead somewhere: the same id past its retention, or another id."""
        for i in taken.tolist():
            handle = int(before[i])
            page = self.store.pages[handle >> PAGE_BITS]
            if page.id_bytes(handle & (PAGE_ROWS - 1)) == ids.bytes_of(i):
                self.index.put(ids.hashes[i : i + 1], handles[i : i + 1])
            else:
                self._collided[ids[i]] = int(handles[i])

    def drop(self, page: int) -> None:
        """Forget a page."""
        self.store.drop(page)
        self.extras.drop(page)
        if self._collided:
            self._collided = {
                one: handle for one, handle in self._collided.items() if handle >> PAGE_BITS != page
            }

    def repeats(self, ids: IdColumn) -> NDArray[np.bool_]:
        """Mark ids that stand in the list before."""
        hashes = ids.hashes
        unique, first = np.unique(hashes, return_index=True)
        repeated = np.zeros(len(hashes), dtype=np.bool_)
        if len(unique) == len(hashes):
            return repeated
        seen: set[str] = set()
        suspects = np.ones(len(hashes), dtype=np.bool_)
        suspects[first] = False
        suspicious = np.isin(hashes, hashes[suspects])
        for i in np.flatnonzero(suspicious).tolist():
            repeated[i] = ids[i] in seen
            seen.add(ids[i])
        return repeated
