"""A model's quality on its reference data, by the very code that measures it in production."""

import numpy as np

from streams.config.settings import LoadedModel
from streams.core.join.facts import LabelFacts, ModelFacts
from streams.core.join.groups import Groups
from streams.core.join.reduce_facts import reduce_facts
from streams.core.layout import layout_of
from streams.core.monitor.results import Meter
from streams.core.partials import ALL, PREDICTION_TIME, Cell, CellKey, add_table
from streams.profile.rows import ReferenceRows

_VERSION = "reference"


class ReferenceQuality:
    """Collects rows whose prediction and truth are both known.

    Args:
        model: the model with a profile whose bins are settled.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._size = model.windows[0].size
        self._layout = layout_of(model)
        self._meter = Meter(model, self._layout)
        self._groups = Groups(model.config)
        self._groups.restore([[_VERSION]])
        self._cell = Cell()

    def add(self, rows: ReferenceRows) -> None:
        """Take rows."""
        if rows.actual is None or rows.predicted is None:
            return
        known = np.flatnonzero(~np.isnan(rows.actual))
        if not len(known):
            return
        facts = LabelFacts(
            ts=np.zeros(len(known), dtype=np.int64),
            group=np.zeros(len(known), dtype=np.int32),
            sign=np.ones(len(known)),
            # Rows of a file have no arrival: they count by the time of the prediction alone.
            first=np.zeros(len(known), dtype=np.bool_),
            weight=np.ones(len(known)),
            predicted=rows.predicted[known],
            score=None if rows.score is None else rows.score[known],
            actual=rows.actual[known],
            ranking=None,
            delay=np.zeros(len(known)),
        )
        table = reduce_facts(self._layout, ModelFacts(labels=[facts]), self._groups, 0)
        if table is not None:
            for _ in add_table(table, self._cell_for):
                pass

    def _cell_for(self, key: CellKey) -> Cell | None:
        return self._cell if (key.view, key.segment) == (PREDICTION_TIME, ALL) else None

    def metrics(self) -> dict[str, float]:
        """Quality by metric name; empty without truth."""
        if not self._cell.dense:
            return {}
        content = self._meter.content(self._size, self._cell, whole=False)
        return {name: metric.value for name, metric in content.metrics.items()}
