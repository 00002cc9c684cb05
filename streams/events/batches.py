"""What batches of predictions and of feedback have in common."""

from collections.abc import Sequence
from typing import Any

from streams.events.reasons import Reason


class BatchError(Exception):
    """A batch cannot be read as a whole."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def check_columns(columns: object, names: Sequence[str]) -> int:
    """Count the rows of the columns of a parsed batch.

    Raises:
        BatchError: they are no columns, or of different lengths.
    """
    if not isinstance(columns, dict):
        raise BatchError(Reason.BAD_BATCH, "columns: expected object")
    if "prediction_id" not in columns:
        raise BatchError(Reason.BAD_BATCH, "columns.prediction_id: required")
    ids = columns["prediction_id"]
    if not isinstance(ids, list):
        raise BatchError(Reason.BAD_BATCH, "columns.prediction_id: expected array")
    if "timestamp" not in columns:
        raise BatchError(Reason.BAD_BATCH, "columns.timestamp: required")
    for name in names:
        column = columns.get(name)
        if isinstance(column, (dict, list)) or column is None:
            if isinstance(column, dict) and name != "score":
                raise BatchError(Reason.BAD_BATCH, f"columns.{name}: expected array")
            check_length(name, column, len(ids))
        elif name != "timestamp":
            raise BatchError(Reason.BAD_BATCH, f"columns.{name}: expected array")
    return len(ids)


def row_of(columns: dict[str, Any], parts: dict[str, dict[str, Any]], i: int) -> dict[str, Any]:
    """Build the single event that a row of a batch stands for.

    Args:
        columns: the columns that hold one value per row, or one value for all rows.
        parts: columns of features and tags by name, None where absent.
        i: the row.
    """
    event: dict[str, Any] = {}
    for name, column in columns.items():
        if isinstance(column, list):
            event[name] = column[i]
        elif isinstance(column, dict):
            picked = {key: values[i] for key, values in column.items()}
            event[name] = {key: value for key, value in picked.items() if value is not None} or None
        elif column is not None:
            event[name] = column
    for part, held in parts.items():
        event[part] = {name: column[i] for name, column in held.items() if column is not None}
    return event


def check_length(name: str, column: object, rows: int) -> None:
    """Check that a column, or every column of an object, has one value per row.

    Raises:
        BatchError: it has not.
    """
    if isinstance(column, dict):
        for values in column.values():
            if not isinstance(values, list):
                raise BatchError(Reason.BAD_BATCH, f"columns.{name}: expected object of arrays")
            check_length(name, values, rows)
    elif isinstance(column, list) and len(column) != rows:
        detail = f"columns.{name}: {len(column)} values for {rows} prediction ids"
        raise BatchError(Reason.BAD_BATCH, detail)
