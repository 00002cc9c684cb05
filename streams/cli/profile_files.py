"""Reference data from files: CSV, Parquet and JSON lines, some rows at a time."""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from streams.formats import objects, tabular
from streams.formats.errors import FormatError
from streams.formats.jsonl import read_lines
from streams.profile.columns import ColumnReader
from streams.profile.model import ProfileError
from streams.profile.rows import ReferenceRows

_CHUNK_ROWS = 50_000
_JSON_LINES = frozenset({".jsonl", ".ndjson"})
_TABLES = frozenset({".csv", ".parquet", ".pq"})


def read_files(
    files: Iterable[Path], reader: ColumnReader, model: str, text: Collection[str] = ()
) -> Iterator[ReferenceRows]:
    """Read files one after the other.

    Categories are spelt as events of the same file would carry them: 5, 5.0 and "5" are "5", true
    is "true"; the columns of ``text`` stay as they are written, such as "00501".

    JSON lines may be events as they are published, of which those of other models are passed over,
    or flat objects. Other files are flat.

    Raises:
        ProfileError: a file cannot be read; names the file, the row and the column.
    """
    for path in files:
        try:
            for table in _tables(path, reader, model, text):
                named = zip(table.column_names, table.columns, strict=True)
                yield reader.read(path, dict(named))
        except FormatError as error:
            raise ProfileError(str(error)) from error
        except OSError as error:
            raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error


def _tables(
    path: Path, reader: ColumnReader, model: str, text: Collection[str]
) -> Iterator[pa.Table]:
    if path.suffix not in _JSON_LINES | _TABLES:
        known = ", ".join(sorted(_JSON_LINES | _TABLES))
        raise FormatError(path, f"the name has to end in one of {known}")
    if not path.is_file():
        raise FormatError(path, "there is no such file")
    if path.suffix in _JSON_LINES:
        yield from _json_tables(path, reader, model)
        return
    # Columns that nobody asks for stay text, and cannot be wrong.
    asked = (reader.numbers() | reader.texts()) - frozenset(text)
    others = frozenset(tabular.column_names(path)) - asked
    for table in tabular.read_tables(path, others, _CHUNK_ROWS):
        nested = any(pa.types.is_struct(column.type) for column in table.columns)
        yield table.flatten() if nested else table


def _json_tables(path: Path, reader: ColumnReader, model: str) -> Iterator[pa.Table]:
    wanted = reader.numbers() | reader.texts()
    lines = ((number, row) for number, _, row in read_lines(path))
    seen: dict[str, None] = {}
    while chunk := list(islice(lines, _CHUNK_ROWS)):
        rows = [_flat(row, wanted) for _, row in chunk if _is_of(row, model)]
        if rows:
            # What no row of this chunk carries is missing, if rows before carried it.
            rows[0] = seen | rows[0]
            table = objects.to_table(path, rows, chunk[0][0])
            seen |= dict.fromkeys(table.column_names)
            yield table


def _is_of(row: dict[str, Any], model: str) -> bool:
    """Tell whether an object is flat or an event of the model."""
    return not isinstance(row.get("features"), dict) or row.get("model", model) == model


def _flat(row: dict[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    flat = {name: value for name, value in row.items() if name in wanted}
    for prefix, inner in row.items():
        if isinstance(inner, dict):
            flat.pop(prefix, None)
            flat |= {n: v for key, v in inner.items() if (n := f"{prefix}.{key}") in wanted}
    return flat
