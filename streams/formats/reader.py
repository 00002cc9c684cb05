"""Reading events from files: JSON lines, CSV and Parquet, in bounded memory.

JSON lines hold events as they are published, or flat objects when a mapping is given. CSV and
Parquet files are flat: one column per field, feature and tag. Everything but JSON lines without a
mapping needs pyarrow, which the worker extra installs.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.formats.errors import FormatError
from streams.formats.jsonl import read_events, read_lines
from streams.formats.mapping import ColumnMapping, Kind, Roles, resolve

if TYPE_CHECKING:
    from streams.formats.flat import EventColumns

CHUNK_ROWS = 50_000
"""Most rows held in memory at once."""

_JSON_LINES = {".jsonl", ".ndjson"}
_TABLES = {".csv", ".parquet", ".pq"}


def open_events(
    path: Path,
    kind: Kind,
    mapping: ColumnMapping | None = None,
    *,
    model: str | None = None,
    model_version: str | None = None,
    timestamp: int | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> "Iterator[EventColumns]":
    """Yield the rows of a file as columns named like the fields of events; needs pyarrow.

    Args:
        path: a .jsonl, .ndjson, .csv, .parquet or .pq file.
        kind: what the rows are.
        mapping: which column is which field, for flat files.
        model: name of the model of rows that name none.
        model_version: version of the model of rows that name none.
        timestamp: ms since the epoch of rows in files without times.
        chunk_rows: most rows per chunk.

    Raises:
        FormatError: when the file or a row cannot be read; it names file, row and column.
    """
    from streams.formats import flat, objects  # noqa: PLC0415 - a base install has no pyarrow

    _check_suffix(path)
    constants = flat.Constants(model, model_version, timestamp)
    if _is_json_lines(path) and mapping is None:
        defaults = _defaults(model, model_version, timestamp)
        events = ((row, event) for row, *_, event in read_events(path, kind, defaults))
        for first_row, rows in _chunks(events, chunk_rows):
            yield objects.to_columns(path, rows, first_row)
        return
    chosen = mapping or ColumnMapping()
    for first_row, table, roles in _flat_tables(path, kind, chosen, chunk_rows):
        yield flat.to_columns(path, table, roles, constants, kind, first_row)


def iter_events(
    path: Path,
    kind: Kind,
    mapping: ColumnMapping | None = None,
    *,
    model: str | None = None,
    model_version: str | None = None,
    timestamp: int | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[tuple[str, int, bytes]]:
    """Yield each row as a single event: id, ms since the epoch, and the JSON to publish.

    The arguments and errors are those of ``open_events``. A line of a JSON lines file that is an
    event already is yielded byte by byte.
    """
    _check_suffix(path)
    if _is_json_lines(path) and mapping is None:
        defaults = _defaults(model, model_version, timestamp)
        for _, prediction_id, time, encoded, _ in read_events(path, kind, defaults):
            yield prediction_id, time, encoded
        return
    from streams.formats.flat import to_events  # noqa: PLC0415 - a base install has no pyarrow

    chunks = open_events(
        path,
        kind,
        mapping,
        model=model,
        model_version=model_version,
        timestamp=timestamp,
        chunk_rows=chunk_rows,
    )
    for chunk in chunks:
        yield from to_events(path, chunk, kind)


def count_events(path: Path) -> int:
    """Count the rows of a file for a progress display; text files count line breaks.

    Raises:
        FormatError: when the file cannot be read.
    """
    _check_suffix(path)
    if path.suffix in {".parquet", ".pq"}:
        from streams.formats.tabular import count_rows  # noqa: PLC0415 - as above

        return count_rows(path)
    with path.open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    return lines if _is_json_lines(path) else max(0, lines - 1)


def _flat_tables(
    path: Path, kind: Kind, mapping: ColumnMapping, chunk_rows: int
) -> Iterator[tuple[int, Any, Roles]]:
    """Yield first row, raw table and roles of each chunk."""
    from streams.formats import objects, tabular  # noqa: PLC0415 - as above

    if _is_json_lines(path):
        lines = ((number, event) for number, _, event in read_lines(path))
        for first_row, rows in _chunks(lines, chunk_rows):
            table = objects.to_table(path, rows, first_row)
            yield first_row, table, resolve(path, table.column_names, kind, mapping)
        return
    roles = resolve(path, tabular.column_names(path), kind, mapping)
    first_row = 1
    for table in tabular.read_tables(path, roles.text, chunk_rows):
        yield first_row, table, roles
        first_row += table.num_rows


def _chunks(
    rows: Iterator[tuple[int, dict[str, Any]]], size: int
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    while chunk := list(islice(rows, size)):
        yield chunk[0][0], [event for _, event in chunk]


def _defaults(
    model: str | None, model_version: str | None, timestamp: int | None
) -> dict[str, Any]:
    return {"model": model, "model_version": model_version, "timestamp": timestamp}


def _is_json_lines(path: Path) -> bool:
    return path.suffix in _JSON_LINES


def _check_suffix(path: Path) -> None:
    if path.suffix not in _JSON_LINES | _TABLES:
        known = ", ".join(sorted(_JSON_LINES | _TABLES))
        raise FormatError(path, f"the name has to end in one of {known}")
    if not path.is_file():
        raise FormatError(path, "there is no such file")
