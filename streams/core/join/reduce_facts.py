"""Facts of one tick, reduced to a quality table and to the error series of detectors."""

import numpy as np
from numpy.typing import NDArray

from detectors.sketches.log_buckets import log_keys
from streams.core.join.cells import Cells, cells_of
from streams.core.join.facts import LabelFacts, ModelFacts, OutcomeFacts
from streams.core.join.groups import Groups
from streams.core.layout import CALIBRATION_RANGES, CLASS_TASKS, Layout
from streams.core.partials import LABEL_TIME, PREDICTION_TIME, CellKey, CellTable, SparseColumn

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Probabilities are kept this far from 0 and 1 in log losses, as scikit-learn does."""


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
        tables.append(_labels(layout, labels, _by_prediction(layout, groups, labels)))
        first = np.flatnonzero(labels.first)
        if len(first):
            tables.append(
                _labels(
                    layout, _take(labels, first), _by_arrival(layout, groups, labels, first, at)
                )
            )
    for outcomes in facts.outcomes:
        tables.append(_outcomes(layout, outcomes, _by_prediction(layout, groups, outcomes)))
        everything = np.arange(len(outcomes))
        cells = _by_arrival(layout, groups, outcomes, everything, at)
        tables.append(_outcomes(layout, outcomes, cells))
    for ts, group in facts.conflicts:
        cells = cells_of(PREDICTION_TIME, groups, group, ts - ts % layout.pane)
        table = CellTable(cells.keys)
        table.dense["labels"] = np.zeros((len(cells), 4))
        table.dense["labels"][:, 3] = cells.count()
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


def _by_prediction(layout: Layout, groups: Groups, facts: LabelFacts | OutcomeFacts) -> Cells:
    return cells_of(PREDICTION_TIME, groups, facts.group, facts.ts - facts.ts % layout.pane)


def _by_arrival(
    layout: Layout, groups: Groups, facts: LabelFacts | OutcomeFacts, rows: Ints, at: int
) -> Cells:
    panes = np.full(len(rows), at - at % layout.pane)
    return cells_of(LABEL_TIME, groups, facts.group[rows], panes)


def _take(labels: LabelFacts, rows: Ints) -> LabelFacts:
    return LabelFacts(
        labels.ts[rows],
        labels.group[rows],
        labels.sign[rows],
        labels.first[rows],
        labels.weight[rows],
        labels.predicted[rows],
        None if labels.score is None else labels.score[rows],
        labels.actual[rows],
        None if labels.ranking is None else labels.ranking[rows],
        labels.delay[rows],
    )


def _labels(layout: Layout, facts: LabelFacts, cells: Cells) -> CellTable:
    weight = facts.sign * facts.weight
    table = CellTable(cells.keys)
    corrections = (~facts.first & (facts.sign > 0)).astype(np.float64)
    table.dense["labels"] = np.stack(
        [
            cells.count(facts.sign),
            cells.count(weight),
            cells.count(corrections),
            np.zeros(len(cells)),
        ],
        axis=1,
    )
    first = np.flatnonzero(facts.first)
    if len(first):
        table.sparse["delay"] = _sparse(cells, first, log_keys(facts.delay[first]), None)
    if layout.task in CLASS_TASKS:
        table.dense["actual"] = cells.count_by(
            facts.actual.astype(np.int64), len(layout.classes), weight
        )
    if layout.task == "binary":
        _binary(layout, facts, weight, cells, table)
    elif layout.task == "multiclass":
        _multiclass(layout, facts, weight, cells, table)
    elif layout.task == "regression":
        _regression(layout, facts, weight, cells, table)
    elif layout.task == "ranking" and facts.ranking is not None:
        columns = [cells.count(weight)]
        columns += [cells.count(weight * scores) for scores in facts.ranking.T]
        table.dense["ranking"] = np.stack(columns, axis=1)
    return table


def _sparse(cells: Cells, rows: Ints, keys: Ints, weights: Floats | None) -> SparseColumn:
    of, spread = cells.pairs(rows, weights)
    return SparseColumn.count(of, np.repeat(keys, cells.of_rows.shape[1]), spread)


def _binary(
    layout: Layout, facts: LabelFacts, weight: Floats, cells: Cells, table: CellTable
) -> None:
    positive = facts.actual == layout.positive
    answered = np.flatnonzero(~np.isnan(facts.predicted))
    said = facts.predicted[answered] == layout.positive
    truth = positive[answered]
    # tp, fp, tn, fn
    kind = np.where(truth, np.where(said, 0, 3), np.where(said, 1, 2)).astype(np.int64)
    table.dense["confusion"] = cells.count_by(kind, 4, weight[answered], answered)
    if facts.score is None:
        return
    scored = np.flatnonzero(~np.isnan(facts.score))
    if not len(scored):
        return
    score, truth, w = facts.score[scored], positive[scored], weight[scored]
    clipped = np.clip(score, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY)
    loss = -np.log(np.where(truth, clipped, 1.0 - clipped))
    table.dense["loss"] = np.stack(
        [
            cells.count(w, scored),
            cells.count(w * loss, scored),
            cells.count(w * (score - truth) ** 2, scored),
        ],
        axis=1,
    )
    ranges = np.minimum((score * CALIBRATION_RANGES).astype(np.int64), CALIBRATION_RANGES - 1)
    calibration = np.stack(
        [
            cells.count_by(ranges, CALIBRATION_RANGES, values, scored)
            for values in (w, w * truth, w * score)
        ],
        axis=2,
    )
    table.dense["calibration"] = calibration.reshape(len(cells), 3 * CALIBRATION_RANGES)
    keys = 2 * layout.score_bins.assign(score) + truth
    table.sparse["score"] = _sparse(cells, scored, keys, w)


def _multiclass(
    layout: Layout, facts: LabelFacts, weight: Floats, cells: Cells, table: CellTable
) -> None:
    classes = len(layout.classes)
    answered = np.flatnonzero(~np.isnan(facts.predicted))
    actual = facts.actual.astype(np.int64)
    keys = actual[answered] * classes + facts.predicted[answered].astype(np.int64)
    table.sparse["confusion"] = _sparse(cells, answered, keys, weight[answered])
    if facts.score is None:
        return
    # NaN where there is no score; probabilities that are all 0 say nothing either.
    scored = np.flatnonzero(facts.score.sum(axis=1) > 0)
    if not len(scored):
        return
    score, truth, w = facts.score[scored], actual[scored], weight[scored]
    # As scikit-learn: probabilities are normalised, then clipped.
    given = score[np.arange(len(scored)), truth] / score.sum(axis=1)
    loss = -np.log(np.clip(given, _SMALLEST_PROBABILITY, 1.0))
    table.dense["loss"] = np.stack([cells.count(w, scored), cells.count(w * loss, scored)], axis=1)
    bins = len(layout.score_bins)
    ovr = 2 * (np.arange(classes) * bins + layout.score_bins.assign(score)) + (
        truth[:, None] == np.arange(classes)
    )
    table.sparse["class_score"] = _sparse(
        cells, np.repeat(scored, classes), ovr.ravel(), np.repeat(w, classes)
    )


def _regression(
    layout: Layout, facts: LabelFacts, weight: Floats, cells: Cells, table: CellTable
) -> None:
    answered = np.flatnonzero(~np.isnan(facts.predicted))
    truth, w = facts.actual[answered], weight[answered]
    error = facts.predicted[answered] - truth
    size = np.abs(error)
    nonzero = truth != 0
    relative = size / np.where(nonzero, np.abs(truth), 1.0)
    columns = (w, w * error, w * size, w * error**2, w * nonzero, w * nonzero * relative)
    table.dense["errors"] = np.stack([cells.count(c, answered) for c in columns], axis=1)
    added = facts.sign[answered] > 0
    table.moments["actual"] = cells.moments(truth, np.where(added, w, 0.0), answered)
    if not added.all():
        table.moments["actual_removed"] = cells.moments(truth, np.where(added, 0.0, -w), answered)
    table.sparse["error"] = _sparse(cells, answered, log_keys(error), w)
    table.sparse["absolute_error"] = _sparse(cells, answered, log_keys(size), w)
    if layout.label_bins is not None:
        table.dense["label_bins"] = cells.count_by(
            layout.label_bins.assign(truth), len(layout.label_bins), w, answered
        )


def _outcomes(layout: Layout, facts: OutcomeFacts, cells: Cells) -> CellTable:
    table = CellTable(cells.keys)
    kinds = len(layout.outcomes)
    per_outcome = np.stack(
        [
            cells.count_by(facts.outcome, kinds, facts.first.astype(np.float64)),
            cells.count_by(facts.outcome, kinds),
            cells.count_by(facts.outcome, kinds, facts.value),
        ],
        axis=2,
    ).reshape(len(cells), 3 * kinds)
    any_outcome = cells.count(facts.first_any.astype(np.float64))
    table.dense["outcomes"] = np.concatenate([per_outcome, any_outcome[:, None]], axis=1)
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
