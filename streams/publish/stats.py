"""What became of the events that a service logged."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

_LOGGER = logging.getLogger("streams.publish")
_SECONDS_BETWEEN_WARNINGS = 20.0


class Loss(StrEnum):
    """Why an event was lost."""

    QUEUE_FULL = "queue_full"
    """The queue was at its limit of events or bytes."""
    TOO_LARGE = "too_large"
    """One event, or a whole batch before it was split, exceeded its size limit."""
    INVALID = "invalid"
    """A field has a value that an event cannot carry."""
    DELIVERY_FAILED = "delivery_failed"
    """Kafka did not confirm the event within the delivery timeout, or refused it."""
    CLOSED = "closed"
    """The publisher was closed before the event was logged or confirmed."""


LossCallback = Callable[[Loss, int], None]


@dataclass(frozen=True, slots=True)
class PublisherStats:
    """Counts of events since the publisher was made in this process.

    At every moment ``logged == delivered + sampled_out + pending + sum(lost.values())``.

    Attributes:
        logged: events given to the publisher; each row of a batch is one.
        delivered: events that Kafka confirmed.
        sampled_out: events left out by sampling.
        pending: events in the queue or on their way.
        pending_bytes: size of the pending events' JSON.
        lost: lost events by reason; reasons that did not occur are absent.
    """

    logged: int = 0
    delivered: int = 0
    sampled_out: int = 0
    pending: int = 0
    pending_bytes: int = 0
    lost: dict[Loss, int] = field(default_factory=dict)

    @property
    def lost_total(self) -> int:
        """Events lost for whatever reason."""
        return sum(self.lost.values())


class LossReporter:
    """Tells the application of losses: a callback for each, a log line now and then."""

    def __init__(self, callback: LossCallback | None) -> None:
        self._callback = callback
        self._lock = threading.Lock()
        self._silent_until: dict[Loss, float] = {}
        self._unreported: dict[Loss, int] = {}

    def report(self, reason: Loss, events: int, detail: str) -> None:
        """Report lost events; never raises.

        Args:
            reason: why they were lost.
            events: how many.
            detail: explanation for the log, without values of the events.
        """
        now = time.monotonic()
        with self._lock:
            count = self._unreported.get(reason, 0) + events
            due = now >= self._silent_until.get(reason, 0.0)
            self._unreported[reason] = 0 if due else count
            if due:
                self._silent_until[reason] = now + _SECONDS_BETWEEN_WARNINGS
        if due:
            _LOGGER.warning("%d event(s) lost (%s): %s", count, reason.value, detail)
        if self._callback is not None:
            try:
                self._callback(reason, events)
            except Exception:
                # Whatever the application's callback does, logging a prediction must not fail.
                _LOGGER.exception("the on_loss callback failed")
