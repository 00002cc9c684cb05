"""The publisher that sends to Kafka."""

import os
import threading
import time
from typing import Unpack

from streams.publish.api import EventLog
from streams.publish.lifecycle import attach
from streams.publish.queue import Entry, EventQueue
from streams.publish.sender import Sender
from streams.publish.settings import PublisherOptions, PublisherSettings
from streams.publish.stats import Loss, LossReporter, PublisherStats

_GRACE_SECONDS = 2.0


class Publisher(EventLog):
    """Publishes predictions and feedback without getting in the service's way.

    * A call encodes the event and puts it into a bounded queue: some microseconds, no I/O.
    * A thread, started at the first event, sends what is queued. Kafka being slow or away fills
      the queue; then events are lost, counted and reported, and the service goes on.
    * Every event is either delivered, pending, sampled out or lost for a known reason; ``stats``
      tells the counts and they always add up.
    * The end of the process waits up to 2 s for pending events. Processes that leave with
      ``os._exit``, as those of multiprocessing do, have to call ``close``.
    * A forked child starts afresh with empty books; events that were pending are the parent's.

    Example:
        >>> with Publisher("localhost:9092", enabled=False) as publisher:
        ...     made = publisher.log_prediction(
        ...         "a-17", model="fraud", model_version="3", score=0.93, features={"amount": 120.5}
        ...     )
        ...     publisher.log_feedback(made, actual=True)
        >>> made
        'a-17'

    Args:
        bootstrap_servers: ``host:port[,host:port]``; DRIFTLINE_BOOTSTRAP_SERVERS when absent.
        options: see ``PublisherSettings``; arguments win over the environment.

    Raises:
        ValueError: when the options contradict each other or name no broker.
    """

    def __init__(
        self, bootstrap_servers: str | None = None, **options: Unpack[PublisherOptions]
    ) -> None:
        super().__init__(PublisherSettings.resolve(bootstrap_servers, options))
        self.restart()
        attach(self)

    def stats(self) -> PublisherStats:
        """Return the counts of this process's events."""
        self._notice_fork()
        return self._queue.stats()

    def flush(self, timeout: float = 5.0) -> int:
        """Wait until nothing is pending; see ``EventLog.flush``."""
        self._notice_fork()
        return self._queue.wait_settled(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Deliver what is pending and stop; see ``EventLog.close``."""
        self._notice_fork()
        self._queue.close(timeout)
        with self._starting:
            sender = self._sender
        if sender is not None:
            sender.join(timeout + _GRACE_SECONDS)

    def restart(self) -> None:
        """Begin with an empty queue and no thread, as after a fork; not for application code."""
        previous: Sender | None = getattr(self, "_sender", None)
        if previous is not None:
            previous.abandon()
        settings = self._settings
        self._pid = os.getpid()
        self._starting = threading.RLock()
        self._sender: Sender | None = None
        self._reporter = LossReporter(settings.on_loss)
        self._queue = EventQueue(settings.max_events, settings.max_bytes, settings.when_full)

    def _accept(self, topic: str, key: bytes | None, value: bytes, rows: int) -> None:
        self._notice_fork()
        loss = self._queue.put(Entry(topic, key, value, rows, time.monotonic()))
        if loss is not None:
            reason, events = loss
            detail = "the queue is full" if reason is Loss.QUEUE_FULL else "the publisher is closed"
            self._reporter.report(reason, events, detail)
        elif self._sender is None:
            self._start()

    def _refuse(self, reason: Loss, rows: int, detail: str) -> None:
        self._notice_fork()
        self._queue.refuse(reason, rows)
        self._reporter.report(reason, rows, detail)

    def _leave_out(self) -> None:
        self._notice_fork()
        self._queue.leave_out(1)

    def _notice_fork(self) -> None:
        # Servers that fork in C may not run Python's hooks.
        if self._pid != os.getpid():
            self.restart()

    def _start(self) -> None:
        with self._starting:
            if self._sender is not None:
                return
            sender = Sender(self._settings, self._queue, self._reporter)
            try:
                sender.start()
            except RuntimeError:
                # The interpreter is going down and takes no more threads.
                self._queue.close(0)
                sender.give_up()
            self._sender = sender
