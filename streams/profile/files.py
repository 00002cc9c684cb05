"""Reference data in files: CSV, Parquet, or JSON lines, read in pieces."""

import contextlib
import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from streams.config.labels import canonical_label
from streams.config.model import ModelConfig
from streams.profile.model import ProfileError
from streams.profile.rows import MISSING, Codes, Floats, ReferenceRows, Texts

_BLOCK_BYTES = 8 << 20
_BATCH_ROWS = 65_536
_SAMPLE_LINES = 1_000
_NO_VALUE = ["", "NaN", "nan", "null", "NULL"]
_CLASS_TASKS = frozenset({"binary", "multiclass"})


@dataclass(frozen=True)
class OutputColumns:
    """What the columns are called that are no features."""

    prediction: str = "prediction"
    score: str = "score"
    label: str = "actual"


class FileReader:
    """Reads a model's reference data.

    A feature is the column of its name, or ``features.<name>``, or a field of the column
    ``features``. Probabilities by class are columns ``score.<class>`` or fields of ``score``.
    Columns that the model does not know are passed over; outputs may be absent, features may not.
    """

    def __init__(self, config: ModelConfig, columns: OutputColumns | None = None) -> None:
        self._config = config
        self._columns = columns or OutputColumns()
        self._classes = {name: index for index, name in enumerate(config.classes)}

    def rows(self, path: Path) -> Iterator[ReferenceRows]:
        """Read a file; raises ProfileError that names the file and the column."""
        kind = path.suffix.lower()
        readers = {".csv": self._csv, ".parquet": _parquet, ".jsonl": self._json}
        if kind not in readers:
            known = ", ".join(readers)
            raise ProfileError(f"{path}: cannot tell the kind of file; known are {known}")
        try:
            for batch in readers[kind](path):
                yield self._rows(path, _flat(batch))
        except OSError as error:
            raise ProfileError(f"{path}: cannot be read: {error}") from error
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
            raise ProfileError(f"{path}: {error}") from error

    # -- kinds of files -------------------------------------------------------------------------

    def _csv(self, path: Path) -> Iterator[Any]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
        types = {name: kind for name, kind in self._types().items() if name in header}
        options = pyarrow.csv.ConvertOptions(
            include_columns=list(types),
            column_types=types,
            null_values=_NO_VALUE,
            strings_can_be_null=True,
        )
        blocks = pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES)
        try:
            yield from pyarrow.csv.open_csv(path, read_options=blocks, convert_options=options)
        except pa.ArrowInvalid as error:
            place = re.match(r"In CSV column #(\d+): (.*)", str(error), re.DOTALL)
            if place is None:
                raise
            raise ProfileError(f"{path}: column {header[int(place[1])]!r}: {place[2]}") from error

    def _json(self, path: Path) -> Iterator[Any]:
        with path.open(encoding="utf-8") as file:
            try:
                sample = [json.loads(line) for line in islice(file, _SAMPLE_LINES)]
            except ValueError as error:
                raise ProfileError(f"{path}: holds a line that is no JSON: {error}") from error
        records = [record for record in sample if isinstance(record, dict)]
        if not records:
            raise ProfileError(f"{path}: holds no JSON objects")
        # Fields that nobody asks for may be of any type, and of another one in each line.
        parsing = pyarrow.json.ParseOptions(
            explicit_schema=self._json_schema(records), unexpected_field_behavior="ignore"
        )
        blocks = pyarrow.json.ReadOptions(block_size=_BLOCK_BYTES)
        yield from pyarrow.json.open_json(path, read_options=blocks, parse_options=parsing)

    def _json_schema(self, records: list[dict[str, Any]]) -> Any:
        """Arrow types of the fields that are wanted and that the first lines hold."""
        columns = self._columns
        nested = any(isinstance(record.get("features"), dict) for record in records)
        inside = [record.get("features") or {} for record in records] if nested else records
        features = [
            pa.field(name, pa.float64() if feature.kind == "numeric" else _json_type(inside, name))
            for name, feature in self._config.features.items()
            if any(name in record for record in inside)
        ]
        fields = [pa.field("features", pa.struct(features))] if nested else features
        for name in (columns.prediction, columns.label):
            if any(record.get(name) is not None for record in records):
                fields.append(pa.field(name, _json_type(records, name)))
        score = next((r[columns.score] for r in records if r.get(columns.score) is not None), None)
        if isinstance(score, dict):
            by_class = pa.struct([(name, pa.float64()) for name in self._classes])
            fields.append(pa.field(columns.score, by_class))
        elif isinstance(score, int | float):
            fields.append(pa.field(columns.score, pa.float64()))
        return pa.schema(fields)

    def _types(self) -> dict[str, Any]:
        """Arrow types of all columns that a text file may have."""
        types: dict[str, Any] = {}
        for name, feature in self._config.features.items():
            kind = pa.float64() if feature.kind == "numeric" else pa.string()
            types |= {name: kind, f"features.{name}": kind}
        output = pa.string() if self._config.task in _CLASS_TASKS else pa.float64()
        types |= {self._columns.prediction: output, self._columns.label: output}
        types |= dict.fromkeys(
            (self._columns.score, *(f"{self._columns.score}.{name}" for name in self._classes)),
            pa.float64(),
        )
        return types

    # -- columns --------------------------------------------------------------------------------

    def _rows(self, path: Path, columns: Mapping[str, Any]) -> ReferenceRows:
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
        by_class = [f"{name}.{label}" for label in self._classes]
        found: Floats | None = None
        if task == "binary" and name in columns:
            found = _numbers(path, name, columns[name])
        elif task == "binary" and f"{name}.{self._config.positive_class}" in columns:
            source = f"{name}.{self._config.positive_class}"
            found = _numbers(path, source, columns[source])
        elif task == "multiclass" and all(source in columns for source in by_class):
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


def _json_type(records: list[dict[str, Any]], name: str) -> Any:
    """Guess a field's type by its first value; numbers may have a point in later lines."""
    value = next((r[name] for r in records if r.get(name) is not None), "")
    if isinstance(value, bool):
        return pa.bool_()
    return pa.float64() if isinstance(value, int | float) else pa.string()


def _parquet(path: Path) -> Iterator[Any]:
    with pyarrow.parquet.ParquetFile(path) as file:
        yield from file.iter_batches(_BATCH_ROWS)


def _flat(batch: Any) -> dict[str, Any]:
    """Columns by name; fields of objects by their path with dots."""
    table = pa.Table.from_batches([batch])
    if any(pa.types.is_struct(column.type) for column in table.columns):
        table = table.flatten()
    return {
        name: column.combine_chunks()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _numbers(path: Path, name: str, column: Any) -> Floats:
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


def _texts(path: Path, name: str, column: Any) -> Texts:
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
