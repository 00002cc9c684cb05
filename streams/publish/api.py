"""The calls that services make, whatever becomes of the events behind them."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from streams.publish.encode import (
    InvalidEventError,
    check_model,
    check_outcome,
    encode_columns,
    encode_feedback,
    encode_prediction,
)
from streams.publish.ids import in_sample, new_id
from streams.publish.settings import MAX_EVENT_BYTES, PublisherSettings
from streams.publish.stats import Loss, PublisherStats


class EventLog(ABC):
    """Turns calls into events; subclasses decide where these go.

    No call waits for anything, so all of them serve asynchronous code as well. Unless the settings
    say ``strict``, no call raises: an event that cannot be published is counted by reason.

    Values may be numpy scalars and arrays. NaN and infinities are published as null, which means
    missing. A ``datetime`` without a zone is taken as UTC; a number is seconds, milliseconds,
    microseconds or nanoseconds since the epoch, told apart by magnitude.
    """

    def __init__(self, settings: PublisherSettings) -> None:
        self._settings = settings

    def log_prediction(
        self,
        prediction_id: str | None = None,
        *,
        model: str,
        model_version: str,
        prediction: Any = None,
        score: Any = None,
        features: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        timestamp: Any = None,
        latency_ms: float | None = None,
        error: bool | None = None,
        variant: str | None = None,
    ) -> str:
        """Log one prediction.

        Args:
            prediction_id: identifies the prediction to later feedback; 1 to 256 characters. A
                UUIDv7 is made when it is absent.
            model: name of the model.
            model_version: version of the model.
            prediction: class label, number, or ranked list of items.
            score: probability of the positive class, or a probability per class.
            features: value of each input by name.
            tags: further values by name, for segments.
            timestamp: when the prediction was made; now when absent.
            latency_ms: how long it took, in milliseconds.
            error: whether the model failed to predict.
            variant: arm of an experiment.

        Returns:
            The prediction's id, which feedback has to carry.

        Raises:
            InvalidEventError: with ``strict``, when a field cannot be part of an event.
        """
        chosen = new_id() if prediction_id is None else prediction_id
        if not self._settings.enabled:
            return chosen
        try:
            value = encode_prediction(
                prediction_id=chosen,
                timestamp=_now() if timestamp is None else timestamp,
                model=model,
                model_version=model_version,
                prediction=prediction,
                score=score,
                features=features,
                tags=tags,
                latency_ms=latency_ms,
                error=error,
                variant=variant,
            )
        except InvalidEventError as failure:
            self._invalid(failure, 1)
        else:
            self.log_encoded(self._settings.predictions_topic, chosen, value)
        return chosen

    def log_feedback(
        self,
        prediction_id: str,
        *,
        actual: Any = None,
        value: float | None = None,
        weight: float | None = None,
        event: str | None = None,
        item: str | None = None,
        timestamp: Any = None,
    ) -> None:
        """Log what is now known about a prediction; ``actual`` or ``event`` is needed.

        Args:
            prediction_id: id that ``log_prediction`` returned.
            actual: true label or number; for rankings the relevant items or a gain per item.
            value: worth of the outcome, such as a price.
            weight: weight of the observation; 1 when absent.
            event: name of an outcome, such as "click".
            item: item of a ranking that the event is about.
            timestamp: when the outcome was known; now when absent.

        Raises:
            InvalidEventError: with ``strict``, when a field cannot be part of an event.
        """
        if not self._settings.enabled:
            return
        try:
            encoded = encode_feedback(
                prediction_id=prediction_id,
                timestamp=_now() if timestamp is None else timestamp,
                actual=actual,
                value=value,
                weight=weight,
                event=event,
                item=item,
            )
        except InvalidEventError as failure:
            self._invalid(failure, 1)
        else:
            self.log_encoded(self._settings.feedback_topic, prediction_id, encoded)

    def log_predictions(
        self,
        prediction_id: Sequence[str] | None = None,
        *,
        model: str,
        model_version: str,
        prediction: Any = None,
        score: Any = None,
        features: Any = None,
        tags: Any = None,
        timestamp: Any = None,
        latency_ms: Any = None,
        error: Any = None,
        variant: Any = None,
    ) -> list[str]:
        """Log many predictions of one version as columns of n rows each.

        A column is a sequence, a numpy array or a pandas series. ``features`` and ``tags`` are a
        mapping of columns or a pandas frame; ``score`` is a column or a mapping of one per class;
        ``timestamp`` may be one value for all rows. The columns are encoded in the call, so they
        may change afterwards; they are cut to messages in the background.

        Returns:
            The ids, in row order; UUIDv7s are made when they are absent.

        Raises:
            InvalidEventError: with ``strict``, when a column cannot be part of a batch.
        """
        columns = {
            "prediction": prediction,
            "score": score,
            "features": features,
            "tags": tags,
            "latency_ms": latency_ms,
            "error": error,
            "variant": variant,
        }
        given = {
            name: dict(column.items()) if hasattr(column, "items") else column
            for name, column in columns.items()
            if column is not None
        }
        if prediction_id is None:
            ids = [new_id() for _ in range(_row_count(given))]
        else:
            ids = list(map(_plain_text, prediction_id))
        self._log_columns(
            self._settings.predictions_topic,
            {"model": model, "model_version": model_version},
            {
                "prediction_id": ids,
                "timestamp": _now() if timestamp is None else timestamp,
                **given,
            },
        )
        return ids

    def log_feedbacks(
        self,
        prediction_id: Sequence[str],
        *,
        actual: Any = None,
        value: Any = None,
        weight: Any = None,
        event: Any = None,
        item: Any = None,
        timestamp: Any = None,
    ) -> None:
        """Log feedback on many predictions as columns; see ``log_predictions``.

        Raises:
            InvalidEventError: with ``strict``, when a column cannot be part of a batch.
        """
        columns = {"actual": actual, "value": value, "weight": weight, "event": event, "item": item}
        self._log_columns(
            self._settings.feedback_topic,
            {},
            {
                "prediction_id": list(map(_plain_text, prediction_id)),
                "timestamp": _now() if timestamp is None else timestamp,
                **{name: column for name, column in columns.items() if column is not None},
            },
        )

    def log_encoded(self, topic: str, prediction_id: str, value: bytes) -> None:
        """Log an event that is JSON already, as when a file is published.

        Args:
            topic: name of the topic.
            prediction_id: the event's id.
            value: JSON of a single event; taken as it is.
        """
        if not self._settings.enabled:
            return
        if not in_sample(prediction_id, self._settings.sample_rate):
            self._leave_out()
        elif len(value) > MAX_EVENT_BYTES:
            self._refuse(Loss.TOO_LARGE, 1, f"{len(value)} bytes exceed {MAX_EVENT_BYTES}")
        else:
            self._accept(topic, prediction_id.encode(), value, 1)

    def _log_columns(self, topic: str, head: dict[str, str], columns: dict[str, Any]) -> None:
        rows = len(columns["prediction_id"])
        if not self._settings.enabled or not rows:
            return
        try:
            if head:
                check_model(head["model"], head["model_version"])
            else:
                check_outcome(columns.get("actual"), columns.get("event"))
            value = encode_columns(head, columns, rows)
        except InvalidEventError as failure:
            self._invalid(failure, rows)
            return
        if len(value) > self._settings.max_bytes:
            self._refuse(Loss.TOO_LARGE, rows, f"a batch of {len(value)} bytes exceeds max_bytes")
        else:
            self._accept(topic, None, value, rows)

    def _invalid(self, failure: InvalidEventError, rows: int) -> None:
        self._refuse(Loss.INVALID, rows, str(failure))
        if self._settings.strict:
            raise failure

    @abstractmethod
    def stats(self) -> PublisherStats:
        """Return the counts of this process's events."""

    @abstractmethod
    def flush(self, timeout: float = 5.0) -> int:
        """Wait until nothing is pending.

        Args:
            timeout: most seconds to wait.

        Returns:
            Events that are still pending; 0 when all were delivered or lost.
        """

    @abstractmethod
    def close(self, timeout: float = 5.0) -> None:
        """Deliver what is pending, count the rest as lost, and stop; repeated calls are harmless.

        Args:
            timeout: most seconds to spend on delivery. Events that Kafka has not confirmed by then
                count as lost with the reason ``closed``, though some may have arrived.
        """

    async def aflush(self, timeout: float = 5.0) -> int:  # noqa: ASYNC109 - the twin of flush
        """Wait like ``flush`` while other tasks run."""
        return await asyncio.to_thread(self.flush, timeout)

    async def aclose(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - the twin of close
        """Close like ``close`` while other tasks run."""
        await asyncio.to_thread(self.close, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    @abstractmethod
    def _accept(self, topic: str, key: bytes | None, value: bytes, rows: int) -> None:
        """Take an event, or a batch when ``key`` is None; must not wait or raise."""

    @abstractmethod
    def _refuse(self, reason: Loss, rows: int, detail: str) -> None:
        """Count events that cannot be taken."""

    @abstractmethod
    def _leave_out(self) -> None:
        """Count an event that sampling leaves out."""


def _now() -> int:
    return time.time_ns() // 1_000_000


def _row_count(columns: Mapping[str, Any]) -> int:
    for column in columns.values():
        leaf = next(iter(column.values()), ()) if isinstance(column, dict) else column
        if hasattr(leaf, "__len__"):
            return len(leaf)
    return 0


def _plain_text(value: Any) -> Any:
    """Turn numpy's strings into plain ones; whatever else is left for validation to refuse."""
    return str(value) if isinstance(value, str) else value
