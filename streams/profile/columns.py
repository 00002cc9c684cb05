"""Reference data from a table's columns, by the names that events and flat files give them."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from streams.config.labels import canonical_label
from streams.config.model import ModelConfig
from streams.profile.model import ProfileError
from streams.profile.rows import MISSING, Codes, Floats, ReferenceRows, Texts

_CLASS_TASKS = frozenset({"binary", "multiclass"})


@dataclass(frozen=True)
class OutputColumns:
    """What the columns are called that are no features."""

    prediction: str = "prediction"
    score: str = "score"
    label: str = "actual"


class ColumnReader:
    """Reads a model's reference data out of tables.

    A feature is the column of its name or ``features.<name>``; probabilities by class are columns
    ``score.<class>`` or ``score_<class>``. Other columns are passed over. Outputs may be absent,
    features may not.

    Args:
        config: the model.
        columns: names of the outputs.
    """

    def __init__(self, config: ModelConfig, columns: OutputColumns | None = None) -> None:
        self._config = config
        self._columns = columns or OutputColumns()
        self._classes = {name: index for index, name in enumerate(config.classes)}

    def numbers(self) -> frozenset[str]:
        """Names of columns that hold numbers, if they are there."""
        names = {n for n, f in self._config.features.items() if f.kind == "numeric"}
        names |= {f"features.{name}" for name in names}
        score = self._columns.score
        names |= {score, *(f"{score}{mark}{label}" for label in self._classes for mark in "._")}
        if self._config.task not in _CLASS_TASKS:
            names |= {self._columns.prediction, self._columns.label}
        return frozenset(names)

    def texts(self) -> frozenset[str]:
        """Names of columns that hold strings or class labels, if they are there."""
        names = {n for n, f in self._config.features.items() if f.kind == "categorical"}
        names |= {f"features.{name}" for name in names}
        if self._config.task in _CLASS_TASKS:
            names |= {self._columns.prediction, self._columns.label}
        return frozenset(names)

    def read(self, path: Path, columns: Mapping[str, Any]) -> ReferenceRows:
        """Read some rows.

        Args:
            path: file that they are from, for messages.
            columns: arrays by name, all of one length.

        Raises:
            ProfileError: a column is absent or holds what it should not; names file and column.
        """
        rows = ReferenceRows(len(next(iter(columns.values()), ())))
        for name, feature in self._config.features.items():
            source = name if name in columns else f"features.{name}"
            if source not in columns:
                raise ProfileError(
                    f"{path}: there is no column {name!r} for the {feature.kind} feature; "
                    f"columns are {', '.join(sorted(columns)) or 'none that the model knows'}"
                )
            column = columns[source]
            if feature.kind == "numeric":
                rows.numeric[name] = _numbers(path, source, column)
            else:
                rows.categorical[name] = _texts(path, source, column)
        rows.actual = self._output(path, self._columns.label, columns)
        rows.score = self._score(path, columns)
        rows.predicted = predicted(
            self._config, self._output(path, self._columns.prediction, columns), rows.score
        )
        return rows

    def _output(self, path: Path, name: str, columns: Mapping[str, Any]) -> Floats | None:
        if name not in columns or self._config.task not in {*_CLASS_TASKS, "regression"}:
            return None
        if self._config.task == "regression":
            return _numbers(path, name, columns[name])
        texts = _texts(path, name, columns[name])
        table = np.array([self._class(path, name, text) for text in texts.values] + [np.nan])
        return np.asarray(table[texts.codes], dtype=np.float64)

    def _class(self, path: Path, column: str, text: str) -> float:
        """Find a class; files spell numbers and booleans in more ways than events do."""
        spellings: list[object] = [text, text.lower()]
        with contextlib.suppress(ValueError, OverflowError):
            spellings.append(canonical_label(float(text)))
        for spelling in spellings:
            if spelling in self._classes:
                return self._classes[str(spelling)]
        raise ProfileError(
            f"{path}: column {column!r} holds {text!r}, which is none of the model's classes: "
            f"{', '.join(self._classes)}"
        )

    def _score(self, path: Path, columns: Mapping[str, Any]) -> Floats | None:
        name, task = self._columns.score, self._config.task
        if task not in _CLASS_TASKS:
            return None
        found_as = {
            label: next((s for m in "._" if (s := f"{name}{m}{label}") in columns), None)
            for label in self._classes
        }
        by_class = [source for source in found_as.values() if source is not None]
        found: Floats | None = None
        if task == "binary" and name in columns:
            found = _numbers(path, name, columns[name])
        elif task == "binary":
            source = found_as.get(str(self._config.positive_class))
            found = None if source is None else _numbers(path, source, columns[source])
        elif by_class and len(by_class) == len(self._classes):
            each = [_numbers(path, source, columns[source]) for source in by_class]
            found = np.stack(each, axis=1)
        if found is not None and ((found < 0) | (found > 1)).any():
            raise ProfileError(f"{path}: column {name!r} holds scores outside 0 to 1")
        return found


def predicted(config: ModelConfig, given: Floats | None, score: Floats | None) -> Floats | None:
    """Apply the model's rule: by threshold when it has one, else as given, else from a half on.

    Args:
        config: the model.
        given: predictions in the data, or None.
        score: binary: P(positive).
    """
    if config.task != "binary" or score is None or config.positive_class is None:
        return given
    positive = config.classes.index(config.positive_class)
    at_least = 0.5 if config.threshold is None else config.threshold
    by_score = np.where(score >= at_least, positive, 1 - positive).astype(np.float64)
    by_score[np.isnan(score)] = np.nan
    first, second = (given, by_score) if config.threshold is None else (by_score, given)
    if first is None:
        return second
    return first if second is None else np.where(np.isnan(first), second, first)


def _numbers(path: Path, name: str, column: Any) -> Floats:
    column = _whole(column)
    kind = column.type
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        raise ProfileError(f"{path}: column {name!r} holds {kind}, not numbers")
    values = np.asarray(
        column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64
    )
    if np.isinf(values).any():
        raise ProfileError(f"{path}: column {name!r} holds an infinite number")
    return values


def _whole(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _texts(path: Path, name: str, column: Any) -> Texts:
    column = _whole(column)
    if pa.types.is_null(column.type):
        return Texts([], np.full(len(column), MISSING, dtype=np.int32))
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    distinct = [canonical_label(value) for value in coded.dictionary.to_pylist()]
    index: dict[str, int] = {}
    places = []
    for value in distinct:
        if not isinstance(value, str):
            raise ProfileError(f"{path}: column {name!r} holds {column.type}, not strings")
        places.append(index.setdefault(value, len(index)))
    codes: Codes = np.array([*places, MISSING], dtype=np.int32)[
        coded.indices.fill_null(len(places)).to_numpy(zero_copy_only=False)
    ]
    return Texts(list(index), codes)
