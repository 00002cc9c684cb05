"""Why an event is put into quarantine."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """All reasons there are; each is a value of a metric's label, so the list stays short."""

    BAD_JSON = "bad_json"
    """The record is no JSON document."""
    WRONG_TYPE = "wrong_type"
    """A field is there but not of a kind, or in a range, that it can have."""
    MISSING_FIELD = "missing_field"
    """A field that every event needs is not there."""
    NOT_FINITE = "not_finite"
    """A number is too large to be represented."""
    ID_TOO_LONG = "id_too_long"
    """The prediction id exceeds ``limits.max_id_length``."""
    ID_EMPTY = "id_empty"
    """The prediction id is the empty string."""
    TIMESTAMP_FUTURE = "timestamp_future"
    """The event claims to be from the future by more than ``limits.max_future``."""
    TIMESTAMP_PAST = "timestamp_past"
    """The event is older than ``limits.max_age``."""
    TIMESTAMP_INVALID = "timestamp_invalid"
    """The timestamp is neither RFC 3339 with an offset nor a number in range."""
    UNKNOWN_MODEL = "unknown_model"
    """No configuration describes the model."""
    UNKNOWN_CLASS = "unknown_class"
    """The label is none of the model's classes."""
    LATE = "late"
    """The prediction is older than the stream by more than the model's ``allowed_lateness``."""
    TOO_LARGE = "too_large"
    """The record exceeds ``limits.max_event_bytes`` or ``limits.max_batch_bytes``."""
    EMPTY = "empty"
    """The record has no value."""
    BAD_BATCH = "bad_batch"
    """The columns of a batch do not fit together."""
    WRONG_TASK = "wrong_task"
    """The label is of a kind that the model's task cannot use."""


@dataclass(slots=True, frozen=True)
class Rejected:
    """A row, or a record that could not be read at all, that goes into quarantine.

    Attributes:
        reason: why.
        detail: which field and what was expected; never a value of the payload.
        record: index of the record in its chunk.
        row: index of the row when the record is a batch; None for a record as a whole.
    """

    reason: Reason
    detail: str
    record: int
    row: int | None = None


class Verdicts:
    """The rejections of one chunk while it is being decoded; the first reason of a row stands.

    Rows are numbered through the chunk; a record that cannot be read at all counts as one row.
    """

    def __init__(self) -> None:
        self._found: dict[int, tuple[Reason, str]] = {}

    def __len__(self) -> int:
        """Count the rejected rows."""
        return len(self._found)

    def add(self, row: int, reason: Reason, detail: str) -> None:
        """Reject a row, unless it is rejected already."""
        self._found.setdefault(row, (reason, detail))

    def add_all(self, rows: list[int], reason: Reason, detail: str) -> None:
        """Reject rows for the same reason."""
        for row in rows:
            self._found.setdefault(row, (reason, detail))

    def rows(self) -> list[int]:
        """List the rejected rows, ascending."""
        return sorted(self._found)

    def of(self, row: int) -> tuple[Reason, str]:
        """Tell why a row was rejected."""
        return self._found[row]
