"""Facts of one tick, reduced to a quality table and to the error series of detectors."""

import numpy as np
from numpy.typing import NDArray

from streams.core.join.cells import Cells, View, cells_of
from streams.core.join.counting import roll_up
from streams.core.join.facts import LabelFacts, ModelFacts, OutcomeFacts
from streams.core.join.groups import Groups
from streams.core.join.reduce_labels import reduce_labels
from streams.core.layout import CLASS_TASKS, Layout
from streams.core.partials import LABEL_TIME, PREDICTION_TIME, CellKey, CellTable, SparseColumn

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def reduce_facts(layout: Layout, facts: ModelFacts, groups: Groups, at: int) -> CellTable | None:
    """Summarise the facts of one model and tick; None when there are none.

    Args:
        layout: names, widths and bins.
        facts: the facts.
        groups: the model's groups.
        at: event time of the tick: when the truth arrived, ms.
    """
    tables = []
    if facts.labels:
        labels = LabelFacts.concat(facts.labels)
        views = [
            View(PREDICTION_TIME, labels.ts),
            View(LABEL_TIME, _arrivals(labels, at), labels.first),
        ]
        tables.append(
            reduce_labels(layout, labels, cells_of(views, groups, labels.group, layout.pane))
        )
    for outcomes in facts.outcomes:
        views = [View(PREDICTION_TIME, outcomes.ts), View(LABEL_TIME, _arrivals(outcomes, at))]
        tables.append(
            _outcomes(layout, outcomes, cells_of(views, groups, outcomes.group, layout.pane))
        )
    for ts, group in facts.conflicts:
        cells = cells_of([View(PREDICTION_TIME, ts)], groups, group, layout.pane)
        table = CellTable(cells.keys)
        counts = np.zeros((len(cells.of_sets), 4))
        counts[:, 3] = np.bincount(cells.sets[0], minlength=len(counts))
        table.dense["labels"] = roll_up(counts, cells)
        tables.append(table)
    return merge_tables(tables) if tables else None


def error_series(layout: Layout, facts: ModelFacts) -> Floats:
    """Error of each first label in order: 0 or 1 for classes, |e| for numbers, 1 - MRR term."""
    parts = []
    for labels in facts.labels:
        known = labels.first & ~np.isnan(labels.predicted)
        if layout.task in CLASS_TASKS:
            parts.append((labels.predicted[known] != labels.actual[known]).astype(np.float64))
        elif layout.task == "regression":
            parts.append(np.abs(labels.predicted[known] - labels.actual[known]))
        elif labels.ranking is not None:
            parts.append(1.0 - labels.ranking[labels.first, 0])
    return np.concatenate(parts) if parts else np.zeros(0)


def _arrivals(facts: LabelFacts | OutcomeFacts, at: int) -> Ints:
    return np.full(len(facts), at)


def _outcomes(layout: Layout, facts: OutcomeFacts, cells: Cells) -> CellTable:
    kinds = len(layout.outcomes)
    sums = np.zeros((len(cells.of_sets), 3 * kinds + 1))
    for sets in cells.sets:
        np.add.at(sums, (sets, 3 * facts.outcome), facts.first)
        np.add.at(sums, (sets, 3 * facts.outcome + 1), 1.0)
        np.add.at(sums, (sets, 3 * facts.outcome + 2), facts.value)
        np.add.at(sums, (sets, 3 * kinds), facts.first_any)
    table = CellTable(cells.keys)
    table.dense["outcomes"] = roll_up(sums, cells)
    return table


def merge_tables(tables: list[CellTable]) -> CellTable:
    """Put tables of one model together; the cells of one table are distinct, and so are the sum's.

    Statistics of the same name must have one width.
    """
    if len(tables) == 1:
        return tables[0]
    index: dict[CellKey, int] = {}
    rows = [np.array([index.setdefault(key, len(index)) for key in table.keys]) for table in tables]
    merged = CellTable(list(index))
    for table, at in zip(tables, rows, strict=True):
        for name, values in table.dense.items():
            target = merged.dense.setdefault(name, np.zeros((len(index), values.shape[1])))
            target[at] += values
        for name, moments in table.moments.items():
            empty = np.zeros((len(index), *moments.shape[1:]))
            # No name stands in two tables with a common cell: labels of the two views differ.
            merged.moments.setdefault(name, empty)[at] = moments
    names = dict.fromkeys(name for table in tables for name in table.sparse)
    for name in names:
        held = [
            (t.sparse[name], at) for t, at in zip(tables, rows, strict=True) if name in t.sparse
        ]
        cells = np.concatenate([at[column.cells] for column, at in held])
        keys = np.concatenate([column.keys for column, _ in held])
        sums = np.concatenate([column.sums for column, _ in held])
        order = np.lexsort((keys, cells))
        merged.sparse[name] = SparseColumn(cells[order], keys[order], sums[order])
    return merged
