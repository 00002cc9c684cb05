"""Rows of a flat table as columns of events, and columns of events as single events."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from streams.formats.errors import FormatError
from streams.formats.mapping import Kind, Roles
from streams.formats.times import from_ms, to_ms, to_wire
from streams.publish.encode import MAX_ID_LENGTH, InvalidEventError, dumps

_OPTIONAL = {
    "predictions": ("prediction", "score", "latency_ms", "error", "variant"),
    "feedback": ("actual", "value", "weight", "event", "item"),
}


@dataclass(frozen=True, slots=True)
class Constants:
    """Values of rows that the file itself does not give.

    Attributes:
        model: name of the model.
        model_version: version of the model.
        timestamp: ms since the epoch.
    """

    model: str | None = None
    model_version: str | None = None
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Some consecutive rows of a file.

    Attributes:
        first_row: number of the first row, from 1.
        table: one column per field, named as in events ("prediction_id", "timestamp" in int64 ms,
            "prediction", "score", "actual", ...), and per class, feature and tag named
            "score.<class>", "features.<name>", "tags.<name>"; fields that no row has are absent.
    """

    first_row: int
    table: pa.Table

    def __len__(self) -> int:
        """Count the rows."""
        rows: int = self.table.num_rows
        return rows


def to_columns(
    path: Path, table: pa.Table, roles: Roles, constants: Constants, kind: Kind, first_row: int
) -> EventColumns:
    """Name the columns of a raw table as events do and fill what is missing.

    Raises:
        FormatError: when a row has no time or no model, or an id that no event can carry.
    """
    rows = table.num_rows
    columns: dict[str, Any] = {
        "prediction_id": pa.array(_ids(path, table, roles, first_row), pa.string()),
        "timestamp": pa.array(_times(path, table, roles, constants, first_row), pa.int64()),
    }
    if kind == "predictions":
        for field, constant in (
            ("model", constants.model),
            ("model_version", constants.model_version),
        ):
            columns[field] = _names(path, table, roles, field, constant, first_row)
    for field, column in roles.fields.items():
        if field not in columns:
            columns[field] = table[column]
    for prefix, named in (
        ("score", roles.scores),
        ("features", {name: name for name in roles.features}),
        ("tags", {name: name for name in roles.tags}),
    ):
        for name, column in named.items():
            columns[f"{prefix}.{name}"] = table[column]
    return EventColumns(first_row, pa.table(columns) if rows else pa.table({}))


def to_events(path: Path, chunk: EventColumns, kind: Kind) -> Iterator[tuple[str, int, bytes]]:
    """Yield id, ms since the epoch and JSON of each row as a single event.

    Missing features and tags are null; other missing fields are left out.

    Raises:
        FormatError: when a value has no JSON form.
    """
    values = {name: chunk.table[name].to_pylist() for name in chunk.table.column_names}
    ids, times = values["prediction_id"], values["timestamp"]
    optional = [(name, values[name]) for name in _OPTIONAL[kind] if name in values]
    nested = {
        prefix: [
            (name[len(prefix) + 1 :], column)
            for name, column in values.items()
            if name.startswith(f"{prefix}.")
        ]
        for prefix in ("score", "features", "tags")
    }
    for row, (prediction_id, time) in enumerate(zip(ids, times, strict=True)):
        event: dict[str, Any] = {"prediction_id": prediction_id, "timestamp": to_wire(time)}
        if kind == "predictions":
            event["model"] = values["model"][row]
            event["model_version"] = values["model_version"][row]
        for name, column in optional:
            if column[row] is not None:
                event[name] = column[row]
        scores = {label: column[row] for label, column in nested["score"]}
        if any(score is not None for score in scores.values()):
            event["score"] = scores
        for prefix in ("features", "tags"):
            if nested[prefix]:
                event[prefix] = {name: column[row] for name, column in nested[prefix]}
        try:
            yield prediction_id, time, dumps(event)
        except InvalidEventError as failure:
            raise FormatError(path, str(failure), row=chunk.first_row + row) from None


def _ids(path: Path, table: pa.Table, roles: Roles, first_row: int) -> list[str]:
    column = roles.fields.get("prediction_id")
    given = [None] * table.num_rows if column is None else table[column].to_pylist()
    ids = [
        f"row-{first_row + row}" if value is None else str(value) for row, value in enumerate(given)
    ]
    for row, prediction_id in enumerate(ids):
        if not 0 < len(prediction_id) <= MAX_ID_LENGTH:
            raise FormatError(
                path,
                f"an id has 1 to {MAX_ID_LENGTH} characters",
                row=first_row + row,
                column=column,
            )
    return ids


def _times(
    path: Path, table: pa.Table, roles: Roles, constants: Constants, first_row: int
) -> list[int]:
    column = roles.fields.get("timestamp")
    if column is None:
        if constants.timestamp is None:
            raise FormatError(path, "no column holds the time; name it: --map timestamp=COLUMN")
        return [constants.timestamp] * table.num_rows
    stamps = table[column]
    if pa.types.is_timestamp(stamps.type):
        # Also from nanoseconds, which Python's datetime does not have.
        stamps = stamps.cast(pa.timestamp("ms", stamps.type.tz), safe=False).cast(pa.int64())
        read: Callable[[Any], int] = from_ms
    else:
        read = to_ms
    times: list[int] = []
    for row, value in enumerate(stamps.to_pylist()):
        try:
            times.append(read(value))
        except ValueError:
            raise FormatError(
                path, "the value is no point in time", row=first_row + row, column=column
            ) from None
    return times


def _names(
    path: Path, table: pa.Table, roles: Roles, field: str, constant: str | None, first_row: int
) -> Any:
    column = roles.fields.get(field)
    option = "--" + field.replace("_", "-")
    if column is None:
        if constant is None:
            raise FormatError(path, f"no column holds the {field}; give {option}")
        return pa.array([constant] * table.num_rows, pa.string())
    names = table[column].cast(pa.string())
    if names.null_count:
        if constant is None:
            row = first_row + names.to_pylist().index(None)
            raise FormatError(path, f"no {field}; give {option}", row=row, column=column)
        names = names.fill_null(constant)
    return names
