"""Predictions in memory: pages, the index of their ids, and what little is kept beside columns."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from streams.config import LoadedModel
from streams.core.join.groups import Groups
from streams.core.join.index import IdIndex
from streams.core.join.pages import MOST_CLASSES, Kind, NewRows, Page, PageStore
from streams.core.layout import Layout, layout_of

Ints = NDArray[np.int64]


class ModelState:
    """What a partition keeps about one model besides its rows.

    Args:
        model: the model.
        code: a number for it, different from those of others.

    Raises:
        ValueError: it has more classes than a row can tell apart.
    """

    def __init__(self, model: LoadedModel, code: int) -> None:
        config = model.config
        if len(config.classes) > MOST_CLASSES:
            raise ValueError(f"model {config.model}: more than {MOST_CLASSES} classes")
        self.config = config
        self.layout: Layout = layout_of(model)
        self.groups = Groups(config)
        self.horizon = config.label_horizon
        self.retention = config.label_horizon + config.remember
        self.score_width = {"binary": 1, "multiclass": len(config.classes)}.get(config.task, 0)
        self.kind = Kind(
            config.model,
            code,
            self.score_width,
            config.task == "regression",
            self.horizon,
            self.retention,
        )
        watched = {detector.on for detector in config.detectors}
        self.series: tuple[str, ...] = tuple(sorted(watched))


class Waiting:
    """All predictions that a partition remembers: waiting, joined, or expired but remembered."""

    def __init__(self) -> None:
        self.store = PageStore()
        self.index = IdIndex(self.store)

    def add(self, kind: Kind, rows: NewRows, slots: Ints) -> None:
        """Remember new predictions, whose ids :meth:`IdIndex.admit` gave slots."""
        for start, stop, row in self.store.append(kind, rows):
            self.index.point(slots[start:stop], row)

    def put_back(self, kind: Kind, page: int, start: int, rows: NewRows) -> None:
        """Restore rows to where they were; later rows take over the ids of earlier ones."""
        _, slots = self.index.admit(rows.ids, 0, replace=True)
        self.index.point(slots, self.store.restore(page, start, kind, rows))

    def expire(self, moment: int) -> Iterator[tuple[Page, Ints]]:
        """Give up rows whose horizon has passed: those of a page that nothing has met.

        Pages that nothing needs are gone when the next is asked for.
        """
        for page, unmet, gone in self.store.expire(moment):
            yield page, unmet
            if gone:
                self.index.forget(self.store.ids(page).hashes, page.row)
                self.store.drop(page)

    @property
    def nbytes(self) -> int:
        """Memory of everything, the ids' own included."""
        return self.store.nbytes + self.store.id_nbytes + self.index.nbytes
