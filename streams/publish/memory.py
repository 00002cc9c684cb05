"""A publisher for the tests of services: it keeps what it was given."""

from typing import Any

import orjson

from streams.publish.api import EventLog
from streams.publish.settings import PublisherSettings
from streams.publish.stats import Loss, PublisherStats

_PREDICTIONS = "predictions"
_FEEDBACK = "feedback"


class InMemoryPublisher(EventLog):
    """Stands in for ``Publisher`` in tests; events are what a consumer would have decoded.

    Batches appear as single events. Events are validated and encoded as for Kafka.

    Example:
        >>> publisher = InMemoryPublisher()
        >>> _ = publisher.log_prediction("a-17", model="fraud", model_version="3", score=0.93)
        >>> publisher.predictions[0]["score"]
        0.93

    Attributes:
        predictions: logged predictions in the order of the calls.
        feedback: logged feedback in the order of the calls.

    Args:
        strict: raise ``InvalidEventError`` for invalid events, which tests want.
    """

    def __init__(self, *, strict: bool = True) -> None:
        super().__init__(
            PublisherSettings(
                bootstrap_servers="in-memory:0",
                predictions_topic=_PREDICTIONS,
                feedback_topic=_FEEDBACK,
                strict=strict,
            )
        )
        self.predictions: list[dict[str, Any]] = []
        self.feedback: list[dict[str, Any]] = []
        self._lost: dict[Loss, int] = {}

    def stats(self) -> PublisherStats:
        """Return counts as ``Publisher`` does; everything valid is delivered at once."""
        delivered = len(self.predictions) + len(self.feedback)
        lost = dict(self._lost)
        return PublisherStats(logged=delivered + sum(lost.values()), delivered=delivered, lost=lost)

    def flush(self, timeout: float = 5.0) -> int:  # noqa: ARG002 - nothing is ever pending
        """Return 0 at once."""
        return 0

    def close(self, timeout: float = 5.0) -> None:
        """Do nothing; events can still be looked at."""

    def clear(self) -> None:
        """Forget all events and losses."""
        self.predictions.clear()
        self.feedback.clear()
        self._lost.clear()

    def _accept(self, topic: str, key: bytes | None, value: bytes, rows: int) -> None:
        event: dict[str, Any] = orjson.loads(value)
        kept = self.predictions if topic == _PREDICTIONS else self.feedback
        if key is not None:
            kept.append(event)
            return
        columns = event.pop("columns")
        kept += [{**event, **_row(columns, row)} for row in range(rows)]

    def _refuse(self, reason: Loss, rows: int, detail: str) -> None:  # noqa: ARG002 - no log here
        self._lost[reason] = self._lost.get(reason, 0) + rows

    def _leave_out(self) -> None:
        raise AssertionError("an in-memory publisher samples nothing")


def _row(columns: dict[str, Any], row: int) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    for name, column in columns.items():
        if isinstance(column, dict):
            taken[name] = _row(column, row)
        else:
            taken[name] = column[row] if isinstance(column, list) else column
    return taken
