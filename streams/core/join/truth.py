"""What a label says, in the terms of its model's task."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel
from streams.core.join.arrays import plain
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


class _Spellings:
    """How labels name the classes of a model: as text, numbers, true and false."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.text = {name: i for i, name in enumerate(classes)}
        numbers = {}
        for name, code in self.text.items():
            try:
                number = float(name)
            except ValueError:
                continue
            # "01" and "1e3" are read as numbers, but no number is written like that.
            if canonical(number) == name:
                numbers[number] = code
        self.numbers = np.array(list(numbers), dtype=np.float64)
        self.codes = np.array(list(numbers.values()), dtype=np.float64)
        flags = (self.text.get(canonical(flag), UNUSABLE) for flag in (False, True))
        self.flags = np.array(list(flags), dtype=np.float64)


_spellings = lru_cache(maxsize=1024)(_Spellings)
_NO_FLAGS = np.zeros(0, dtype=np.bool_)


def _classes(layout: Layout, rows: FeedbackRows, index: Ints) -> Truth:
    spelled = _spellings(tuple(layout.classes))
    text = [spelled.text.get(value, UNUSABLE) for value in rows.text.values]
    values = np.empty(len(index))
    flags = _NO_FLAGS if rows.is_bool is None else rows.is_bool
    bad = _read_classes(
        *(index, plain(rows.text.codes), plain(rows.number), plain(flags)),
        *(np.array(text, dtype=np.float64), spelled.numbers, spelled.codes, spelled.flags, values),
    )
    truth = Truth(values)
    if bad:
        for i in np.flatnonzero(np.isnan(values)).tolist():
            row = int(index[i])
            if rows.text.codes[row] < 0 and np.isnan(rows.number[row]):
                detail = "actual: a classification needs a class label"
                truth.refused.append((i, Reason.WRONG_TASK, detail))
            else:
                detail = "actual: none of the model's classes"
                truth.refused.append((i, Reason.UNKNOWN_CLASS, detail))
    return truth


@kernel
def _read_classes(
    index: Ints,
    codes: NDArray[np.int32],
    number: Floats,
    is_bool: NDArray[np.bool_],
    of_text: Floats,
    numbers: Floats,
    of_number: Floats,
    of_flag: Floats,
    values: Floats,
) -> int:
    """Class of each chosen label, NaN where it is not usable; gives how many are not.

    ``of_text``, ``of_number`` and ``of_flag`` are the classes of ``codes``, of ``numbers`` and of
    false and true; ``is_bool`` is empty where no label is true or false.
    """
    bad = 0
    for i in range(len(index)):
        row = index[i]
        found: Any = np.float64(UNUSABLE)
        if codes[row] >= 0:
            found = of_text[codes[row]]
        if not np.isnan(number[row]):
            if len(is_bool) and is_bool[row]:
                found = of_flag[np.int64(number[row])]
            else:
                found = np.float64(UNUSABLE)
                for j in range(len(numbers)):
                    if numbers[j] == number[row]:
                        found = of_number[j]
                        break
        if found < 0:
            found = np.nan
            bad += 1
        values[i] = found
    return bad


def gains_of(truth: Any) -> dict[str, float]:
    """Gain by item of a ranking's truth, given as a list of relevant items or as gains."""
    if isinstance(truth, dict):
        return {item: float(gain) for item, gain in truth.items() if gain > 0}
    return dict.fromkeys(truth, 1.0)
