"""JSON objects as tables; needs pyarrow."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from streams.formats.errors import FormatError
from streams.formats.flat import EventColumns
from streams.formats.times import to_ms

_NESTED = ("score", "features", "tags")


def to_columns(path: Path, events: list[dict[str, Any]], first_row: int) -> EventColumns:
    """Spread events to columns.

    Raises:
        FormatError: when values of one field do not go together in one column.
    """
    flat: list[dict[str, Any]] = []
    for event in events:
        row = {**event, "timestamp": to_ms(event["timestamp"])}
        for prefix in _NESTED:
            inner = row.get(prefix)
            if isinstance(inner, dict):
                del row[prefix]
                row.update((f"{prefix}.{name}", value) for name, value in inner.items())
        flat.append(row)
    return EventColumns(first_row, to_table(path, flat, first_row))


def to_table(path: Path, rows: list[dict[str, Any]], first_row: int) -> pa.Table:
    """Make a table of objects; a key that a row lacks is null there.

    Raises:
        FormatError: when values of one key do not go together in one column.
    """
    columns: dict[str, list[Any]] = {}
    for position, row in enumerate(rows):
        for name, value in row.items():
            if name not in columns:
                columns[name] = [None] * len(rows)
            columns[name][position] = value
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as failure:
            raise FormatError(
                path,
                f"values of different kinds in rows {first_row} and following: {failure}",
                column=name,
            ) from None
    return pa.table(arrays)
