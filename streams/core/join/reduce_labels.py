"""Predictions and their truth of one tick, reduced to the statistics of their task."""

import math

import numpy as np
from numpy.typing import NDArray

from detectors.sketches.log_buckets import log_key
from streams.compiled import kernel
from streams.core.bins import cell_of, edges_up_to
from streams.core.join.arrays import plain
from streams.core.join.cells import Cells
from streams.core.join.counting import NO_KEY, count_keys, moments, roll_up
from streams.core.join.facts import LabelFacts
from streams.core.layout import CALIBRATION_RANGES, CLASS_TASKS, Layout
from streams.core.partials import CellTable

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Probabilities are kept this far from 0 and 1 in log losses, as scikit-learn does."""

_LABELS = 4
_CONFUSION = 4
_LOSS = 3
_CALIBRATION = 3 * CALIBRATION_RANGES
_ERRORS = 6


def reduce_labels(layout: Layout, facts: LabelFacts, cells: Cells) -> CellTable:
    """Summarise predictions and their truth.

    Args:
        layout: names, widths and bins.
        facts: the facts.
        cells: the cells that each fact counts in.
    """
    weight = facts.sign * facts.weight
    table = CellTable(cells.keys)
    classes = len(layout.classes) if layout.task in CLASS_TASKS else 0
    delays = np.empty((len(facts), 1), dtype=np.int64)
    sums = np.zeros((len(cells.of_sets), _LABELS + classes))
    some = _count(
        cells.sets,
        plain(facts.sign),
        weight,
        plain(facts.first),
        plain(facts.actual),
        plain(facts.delay),
        sums,
        delays,
    )
    summed = roll_up(sums, cells)
    table.dense["labels"] = summed[:, :_LABELS].copy()
    if classes:
        table.dense["actual"] = summed[:, _LABELS:].copy()
    if some:
        table.sparse["delay"] = count_keys(cells, delays)
    if layout.task == "binary":
        _binary(layout, facts, weight, cells, table)
    elif layout.task == "multiclass":
        _multiclass(layout, facts, weight, cells, table)
    elif layout.task == "regression":
        _regression(layout, facts, weight, cells, table)
    elif layout.task == "ranking" and facts.ranking is not None:
        given = np.concatenate([weight[:, None], weight[:, None] * facts.ranking], axis=1)
        table.dense["ranking"] = _sum_rows(cells, given)
    return table


@kernel
def _count(
    sets: Ints,
    sign: Floats,
    weight: Floats,
    first: NDArray[np.bool_],
    actual: Floats,
    delay: Floats,
    sums: Floats,
    delays: Ints,
) -> bool:
    """Fill counts of labels and classes by set, and the keys of delays; tell if there are any."""
    some = False
    for i in range(len(sign)):
        delays[i, 0] = NO_KEY
        if first[i]:
            delays[i, 0] = log_key(delay[i])
            some = True
        for v in range(sets.shape[0]):
            own = sets[v, i]
            if own < 0:
                continue
            sums[own, 0] += sign[i]
            sums[own, 1] += weight[i]
            if not first[i] and sign[i] > 0.0:
                sums[own, 2] += 1.0
            if sums.shape[1] > _LABELS:
                sums[own, _LABELS + np.int64(actual[i])] += weight[i]
    return some


def _sum_rows(cells: Cells, given: Floats) -> Floats:
    """Sum the rows of a matrix by cell; shape (cells, columns)."""
    sums = np.zeros((len(cells.of_sets), given.shape[1]))
    _add_rows(cells.sets, given, sums)
    return roll_up(sums, cells)


@kernel
def _add_rows(sets: Ints, given: Floats, sums: Floats) -> None:
    for i in range(given.shape[0]):
        for v in range(sets.shape[0]):
            if sets[v, i] >= 0:
                for k in range(given.shape[1]):
                    sums[sets[v, i], k] += given[i, k]


def _binary(
    layout: Layout, facts: LabelFacts, weight: Floats, cells: Cells, table: CellTable
) -> None:
    sums = np.zeros((len(cells.of_sets), _CONFUSION + _LOSS + _CALIBRATION))
    keys = np.empty((len(facts), 1), dtype=np.int64)
    score = np.zeros(0) if facts.score is None else plain(facts.score)
    bins = layout.score_bins
    scored = _count_binary(
        cells.sets,
        weight,
        plain(facts.predicted),
        plain(facts.actual),
        score,
        layout.positive,
        bins.low,
        bins.scale,
        bins.table,
        bins.edges,
        sums,
        keys,
    )
    summed = roll_up(sums, cells)
    table.dense["confusion"] = summed[:, :_CONFUSION].copy()
    if scored:
        table.dense["loss"] = summed[:, _CONFUSION : _CONFUSION + _LOSS].copy()
        table.dense["calibration"] = summed[:, _CONFUSION + _LOSS :].copy()
        table.sparse["score"] = count_keys(cells, keys, weight)


@kernel
def _count_binary(
    sets: Ints,
    weight: Floats,
    predicted: Floats,
    actual: Floats,
    score: Floats,
    positive: int,
    low: float,
    scale: float,
    table: Ints,
    edges: Floats,
    sums: Floats,
    keys: Ints,
) -> bool:
    """Fill confusion, loss and calibration by set, and the keys of scores; tell if there are any.

    The confusion is tp, fp, tn, fn.
    """
    some = False
    loss_at = _CONFUSION
    for i in range(len(weight)):
        truth = actual[i] == positive
        w = weight[i]
        kind = -1
        if not np.isnan(predicted[i]):
            if predicted[i] == positive:
                kind = 0 if truth else 1
            elif truth:
                kind = 3
            else:
                kind = 2
        keys[i, 0] = NO_KEY
        scored = len(score) > 0 and not np.isnan(score[i])
        s = loss = brier = 0.0
        part = 0
        if scored:
            some = True
            s = score[i]
            kept = min(max(s, _SMALLEST_PROBABILITY), 1.0 - _SMALLEST_PROBABILITY)
            loss = -math.log(kept if truth else 1.0 - kept)
            brier = (s - truth) ** 2
            part = loss_at + _LOSS + 3 * min(int(s * CALIBRATION_RANGES), CALIBRATION_RANGES - 1)
            cell = cell_of(s, low, scale, len(table) - 1)
            keys[i, 0] = 2 * edges_up_to(s, edges, table[cell], table[cell + 1]) + truth
        for v in range(sets.shape[0]):
            own = sets[v, i]
            if own < 0:
                continue
            if kind >= 0:
                sums[own, kind] += w
            if scored:
                sums[own, loss_at] += w
                sums[own, loss_at + 1] += w * loss
                sums[own, loss_at + 2] += w * brier
                sums[own, part] += w
                sums[own, part + 1] += w * truth
                sums[own, part + 2] += w * s
    return some


def _multiclass(
    layout: Layout, facts: LabelFacts, weight: Floats, cells: Cells, table: CellTable
) -> None:
    rows, classes = len(facts), len(layout.classes)
    confusion = np.empty((rows, 1), dtype=np.int64)
    keys = np.empty((rows, classes), dtype=np.int64)
    losses = np.zeros((rows, 2))
    bins = layout.score_bins
    scored = _count_multiclass(
        weight,
        plain(facts.predicted),
        plain(facts.actual),
        np.zeros((0, 1)) if facts.score is None else plain(facts.score),
        bins.low,
        bins.scale,
        bins.table,
        bins.edges,
        losses,
        confusion,
        keys,
    )
    table.sparse["confusion"] = count_keys(cells, confusion, weight)
    if scored:
        table.dense["loss"] = _sum_rows(cells, losses)
        table.sparse["class_score"] = count_keys(cells, keys, weight)


@kernel
def _count_multiclass(
    weight: Floats,
    predicted: Floats,
    actual: Floats,
    score: Floats,
    low: float,
    scale: float,
    table: Ints,
    edges: Floats,
    losses: Floats,
    confusion: Ints,
    keys: Ints,
) -> bool:
    """Fill the losses of each row, its pair of classes and the keys of its scores.

    Tells whether any row has scores: NaN where there are none; probabilities that are all 0 say
    nothing either. As in scikit-learn, probabilities are normalised, then clipped.
    """
    some = False
    classes = keys.shape[1]
    for i in range(len(weight)):
        truth = np.int64(actual[i])
        answered = not np.isnan(predicted[i])
        confusion[i, 0] = truth * classes + np.int64(predicted[i]) if answered else NO_KEY
        total = 0.0
        if len(score):
            for k in range(classes):
                total += score[i, k]
        if not total > 0.0:
            keys[i, :] = NO_KEY
            continue
        some = True
        given = min(max(score[i, truth] / total, _SMALLEST_PROBABILITY), 1.0)
        losses[i, 0] = weight[i]
        losses[i, 1] = weight[i] * -math.log(given)
        for k in range(classes):
            cell = cell_of(score[i, k], low, scale, len(table) - 1)
            found = edges_up_to(score[i, k], edges, table[cell], table[cell + 1])
            keys[i, k] = 2 * (k * (len(edges) + 1) + found) + (k == truth)
    return some


def _regression(
    layout: Layout, facts: LabelFacts, weight: Floats, cells: Cells, table: CellTable
) -> None:
    rows = len(facts)
    errors = np.empty((rows, _ERRORS))
    keys = np.empty((2, rows, 1), dtype=np.int64)
    _measure(weight, plain(facts.predicted), plain(facts.actual), errors, keys)
    table.dense["errors"] = _sum_rows(cells, errors)
    answered = ~np.isnan(facts.predicted)
    truth = np.where(answered, facts.actual, np.nan)
    added = facts.sign > 0
    if added.all():
        table.moments["actual"] = moments(cells, truth, weight)
    else:
        table.moments["actual"] = moments(cells, np.where(added, truth, np.nan), weight)
        if not added[answered].all():
            removed = np.where(added, np.nan, truth)
            table.moments["actual_removed"] = moments(cells, removed, -weight)
    table.sparse["error"] = count_keys(cells, keys[0], weight)
    table.sparse["absolute_error"] = count_keys(cells, keys[1], weight)
    if layout.label_bins is not None:
        known = np.flatnonzero(answered)
        codes = layout.label_bins.assign(facts.actual[known])
        sums = np.zeros((len(cells.of_sets), len(layout.label_bins)))
        for sets in cells.sets[:, known]:
            counted = sets >= 0
            np.add.at(sums, (sets[counted], codes[counted]), weight[known][counted])
        table.dense["label_bins"] = roll_up(sums, cells)


@kernel
def _measure(weight: Floats, predicted: Floats, actual: Floats, errors: Floats, keys: Ints) -> None:
    """Fill the weighted errors of each row, and the keys of its error and the error's size."""
    for i in range(len(weight)):
        w, truth = weight[i], actual[i]
        error = predicted[i] - truth
        if np.isnan(predicted[i]):
            errors[i, :] = 0.0
            keys[:, i, 0] = NO_KEY
            continue
        size = abs(error)
        errors[i, 0] = w
        errors[i, 1] = w * error
        errors[i, 2] = w * size
        errors[i, 3] = w * (error * error)
        errors[i, 4] = w if truth != 0.0 else 0.0
        errors[i, 5] = w * (size / abs(truth)) if truth != 0.0 else 0.0
        keys[0, i, 0] = log_key(error)
        keys[1, i, 0] = log_key(size)
