"""What can be wrong with a file."""

from pathlib import Path


class FormatError(Exception):
    """A file cannot be read as events; the message names the file, the row and the column.

    Args:
        path: the file.
        problem: what is wrong and, where it helps, what to do.
        row: number of the row or line, from 1; a header is not counted.
        column: name of the column.
    """

    def __init__(
        self, path: Path, problem: str, *, row: int | None = None, column: str | None = None
    ) -> None:
        place = str(path)
        if row is not None:
            place += f", row {row}"
        if column is not None:
            place += f", column {column!r}"
        super().__init__(f"{place}: {problem}")
        self.path = path
        self.row = row
        self.column = column
