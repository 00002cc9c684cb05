"""CSV and Parquet files as tables of a bounded number of rows; needs pyarrow."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from streams.formats.errors import FormatError

_BLOCK_BYTES = 4 * 1024 * 1024
# Not "NA", as readers of tables often have it: that is also Namibia.
_NO_VALUE = ["", "NaN", "nan", "null", "NULL"]


def column_names(path: Path) -> list[str]:
    """Return the names of the columns.

    Raises:
        FormatError: when the file has no readable header.
    """
    if _is_parquet(path):
        names: list[str] = _parquet(path).schema_arrow.names
        return names
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), None)
    except (UnicodeDecodeError, csv.Error) as failure:
        raise FormatError(path, f"the header cannot be read: {failure}") from None
    if not header:
        raise FormatError(path, "the file is empty; a header was expected")
    return header


def read_tables(path: Path, text: frozenset[str], chunk_rows: int) -> Iterator[pa.Table]:
    """Yield the rows of a file in tables of at most ``chunk_rows`` rows.

    Parquet keeps its types. CSV columns are integers, numbers, booleans or text; the first table
    decides, and later integers may become numbers. Empty values, "NaN" and "null" are missing.

    Args:
        path: a .parquet, .pq or .csv file.
        text: columns that stay text.
        chunk_rows: most rows per table.

    Raises:
        FormatError: when a row cannot be read or a value is not what its column is.
    """
    if _is_parquet(path):
        try:
            for batch in _parquet(path).iter_batches(batch_size=chunk_rows):
                yield pa.Table.from_batches([batch])
        except (pa.ArrowInvalid, OSError) as failure:
            raise FormatError(path, str(failure)) from None
        return
    types = _CsvTypes(path, text)
    first_row = 1
    for table in _csv_text(path):
        for start in range(0, table.num_rows, chunk_rows):
            part = table.slice(start, chunk_rows)
            yield types.apply(part, first_row)
            first_row += part.num_rows


def count_rows(path: Path) -> int:
    """Count the rows of a Parquet file without reading them."""
    rows: int = _parquet(path).metadata.num_rows
    return rows


class _CsvTypes:
    """Turns columns of text into what they turned out to be in the first table."""

    def __init__(self, path: Path, text: frozenset[str]) -> None:
        self._path = path
        self._text = text
        self._types: dict[str, pa.DataType] = {}

    def apply(self, table: pa.Table, first_row: int) -> pa.Table:
        columns = [self._column(name, table[name], first_row) for name in table.column_names]
        return pa.table(columns, names=table.column_names)

    def _column(self, name: str, column: Any, first_row: int) -> Any:
        if name in self._text:
            return column
        known = self._types.get(name)
        if known is None:
            candidates: Sequence[Any] = (pa.int64(), pa.float64(), pa.bool_(), pa.string())
        elif known == pa.int64():
            candidates = (known, pa.float64())
        else:
            candidates = (known,)
        for candidate in candidates:
            converted = _cast(column, candidate)
            if converted is not None:
                if column.null_count < len(column):
                    self._types[name] = candidate
                return converted
        row, value_type = _first_misfit(column, candidates[-1]), candidates[-1]
        raise FormatError(
            self._path,
            f"the value is no {value_type}, as those before it; "
            "map the column as text if that is what it holds",
            row=first_row + row,
            column=name,
        )


def _cast(column: Any, wanted: pa.DataType) -> Any | None:
    if wanted == pa.string():
        return column
    try:
        converted = pc.cast(column, wanted)
    except pa.ArrowInvalid:
        return None
    return converted


def _first_misfit(column: Any, wanted: pa.DataType) -> int:
    """Find the first row that does not convert, by halving."""
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        if _cast(column.slice(low, middle - low), wanted) is None:
            high = middle
        else:
            low = middle
    return low


def _csv_text(path: Path) -> Iterator[pa.Table]:
    names = column_names(path)
    try:
        with pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=_NO_VALUE,
                strings_can_be_null=True,
            ),
        ) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid as failure:
        raise FormatError(path, str(failure)) from None


def _parquet(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as failure:
        raise FormatError(path, f"no readable Parquet file: {failure}") from None


def _is_parquet(path: Path) -> bool:
    return path.suffix in {".parquet", ".pq"}
