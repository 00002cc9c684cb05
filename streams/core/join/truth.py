"""What a label says, in the terms of its model's task."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.core.layout import CLASS_TASKS, Layout
from streams.events.columns import FeedbackRows
from streams.events.labels import canonical
from streams.events.reasons import Reason

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNUSABLE = -1


@dataclass(slots=True)
class Truth:
    """Labels as numbers.

    Attributes:
        values: class index (class tasks) or the number (regression); NaN for ranking, whose truth
            is read from the row, and where the label is not usable.
        refused: (position, reason, detail) of labels that the task cannot use.
    """

    values: Floats
    refused: list[tuple[int, Reason, str]] = field(default_factory=list)


def read_truth(layout: Layout, rows: FeedbackRows, index: Ints) -> Truth:
    """Read the labels of chosen rows, all about predictions of one model."""
    if layout.task in CLASS_TASKS:
        return _classes(layout, rows, index)
    if layout.task == "regression":
        values = rows.number[index].copy()
        if rows.is_bool is not None:
            values[rows.is_bool[index]] = np.nan
        return _refuse(values, np.isnan(values), "actual: a regression needs a number")
    values = np.full(len(index), np.nan)
    if layout.task == "ranking":
        listed = np.fromiter((i in rows.items for i in index.tolist()), np.bool_, len(index))
        return _refuse(
            values, ~listed, "actual: a ranking needs a list of items or an object of gains"
        )
    return _refuse(
        values,
        np.ones(len(index), dtype=np.bool_),
        "actual: a model with task outcome takes events only",
    )


def _refuse(values: Floats, bad: NDArray[np.bool_], detail: str) -> Truth:
    return Truth(values, [(i, Reason.WRONG_TASK, detail) for i in np.flatnonzero(bad).tolist()])


def _classes(layout: Layout, rows: FeedbackRows, index: Ints) -> Truth:
    position = {name: i for i, name in enumerate(layout.classes)}
    codes = np.full(len(index), UNUSABLE, dtype=np.int64)
    text = rows.text.codes[index]
    if len(rows.text.values):
        known = np.array([position.get(v, UNUSABLE) for v in rows.text.values], dtype=np.int64)
        written = np.flatnonzero(text >= 0)
        codes[written] = known[text[written]]
    number = rows.number[index]
    numeric = np.flatnonzero(~np.isnan(number))
    if len(numeric):
        is_bool = None if rows.is_bool is None else rows.is_bool[index][numeric]
        codes[numeric] = _numbered(position, number[numeric], is_bool)
    bad = codes == UNUSABLE
    values = np.where(bad, np.nan, codes)
    refused: list[tuple[int, Reason, str]] = []
    for i in np.flatnonzero(bad).tolist():
        if text[i] < 0 and np.isnan(number[i]):
            refused.append((i, Reason.WRONG_TASK, "actual: a classification needs a class label"))
        else:
            refused.append((i, Reason.UNKNOWN_CLASS, "actual: none of the model's classes"))
    return Truth(values, refused)


def _numbered(position: dict[str, int], numbers: Floats, is_bool: NDArray[np.bool_] | None) -> Ints:
    unique, inverse = np.unique(numbers, return_inverse=True)

    def codes_of(kind: type[bool] | type[float]) -> Ints:
        names = (canonical(kind(value)) for value in unique.tolist())
        return np.array([position.get(name, UNUSABLE) for name in names], dtype=np.int64)

    codes = codes_of(float)[inverse]
    if is_bool is not None:
        codes = np.where(is_bool, codes_of(bool)[inverse], codes)
    return codes


def gains_of(truth: Any) -> dict[str, float]:
    """Gain by item of a ranking's truth, given as a list of relevant items or as gains."""
    if isinstance(truth, dict):
        return {item: float(gain) for item, gain in truth.items() if gain > 0}
    return dict.fromkeys(truth, 1.0)
