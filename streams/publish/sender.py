"""The thread that owns the Kafka producer and moves events from the queue to it."""

import ctypes
import logging
import threading
import time
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.publish.queue import Entry, EventQueue
from streams.publish.settings import MAX_BATCH_BYTES, MAX_EVENT_BYTES, PublisherSettings
from streams.publish.split import split_batch
from streams.publish.stats import Loss, LossReporter

_LOGGER = logging.getLogger("streams.publish")
_POLL_SECONDS = 0.02
_METADATA_SECONDS = 1.0
_PARTITIONS_VALID_SECONDS = 300.0
_MOST_TAKEN = 1_000
_PURGED = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})  # noqa: SLF001 - codes


class Sender:
    """Sends what the queue holds, on a daemon thread that ``start`` begins.

    At most half of the queue's limits are handed to librdkafka at a time, which leaves the other
    half for ``drop_oldest`` to choose from.
    """

    def __init__(
        self, settings: PublisherSettings, queue: EventQueue, reporter: LossReporter
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._reporter = reporter
        self._producer: Producer | None = None
        self._thread: threading.Thread | None = None
        self._waiting_batches: list[Entry] = []
        self._next_metadata = 0.0
        self._partitions: dict[str, tuple[int, float]] = {}
        self._flying = 0
        self._flying_rows = 0
        self._flying_bytes = 0
        self._forget_settled()

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: when the process is ending and takes no more threads.
        """
        self._thread = threading.Thread(target=self._run, name="driftline-publisher", daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; tell whether it has."""
        if self._thread is None or self._thread is threading.current_thread():
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Keep the producer of a parent process from ever being freed in this one.

        Its threads did not come along, and librdkafka's destructor would wait for them for ever.
        """
        if self._producer is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))

    def _run(self) -> None:
        while not self._finished():
            try:
                self._step()
            except Exception:
                # A defect must cost no more than the events at hand: the thread goes on.
                _LOGGER.exception("the publisher's sender failed; it goes on")
                time.sleep(_POLL_SECONDS)
        self.give_up()

    def _finished(self) -> bool:
        deadline = self._queue.close_deadline
        if deadline is None:
            return False
        return time.monotonic() >= deadline or not self._queue.stats().pending

    def _step(self) -> None:
        busy = bool(self._flying or self._waiting_batches)
        entries = self._queue.take(self._room(), wait=not busy)
        for entry in entries:
            if entry.key is None:
                self._waiting_batches.append(entry)
            else:
                self._send(entry.topic, entry.key, entry.value, entry.rows)
        if self._waiting_batches:
            self._send_batches()
        if self._producer is not None:
            self._producer.poll(0 if entries else _POLL_SECONDS)
        self._settle()

    def _room(self) -> int:
        if self._flying_bytes * 2 >= self._settings.max_bytes:
            return 0
        half = max(1, self._settings.max_events // 2)
        return min(_MOST_TAKEN, max(0, half - self._flying - len(self._waiting_batches)))

    def _send(self, topic: str, key: bytes, value: bytes, rows: int) -> None:
        producer = self._connect()
        self._flying += 1
        self._flying_rows += rows
        self._flying_bytes += len(value)
        settled = partial(self._on_delivery, rows, len(value))
        if producer is None:
            settled(KafkaError(KafkaError._FAIL, "no producer"), None)  # noqa: SLF001 - a public code
            return
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=settled)
            except BufferError:
                producer.poll(_POLL_SECONDS)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the event has to settle
                known = failure.args[0] if isinstance(failure, KafkaException) else None
                settled(known or KafkaError(KafkaError._FAIL, str(failure)), None)  # noqa: SLF001 - as above
                return
            else:
                return

    def _on_delivery(self, rows: int, size: int, error: KafkaError | None, _message: Any) -> None:
        self._flying -= 1
        self._flying_rows -= rows
        self._flying_bytes -= size
        self._settled_entries += 1
        self._settled_bytes += size
        if error is None:
            self._delivered += rows
        else:
            self._lose(_reason(error), rows, error.str())

    def _send_batches(self) -> None:
        now = time.monotonic()
        waiting, self._waiting_batches = self._waiting_batches, []
        for entry in waiting:
            partitions = self._partition_count(entry.topic)
            if partitions:
                self._send_split(entry, partitions)
            elif now - entry.created > self._settings.delivery_timeout:
                self._drop(entry, Loss.DELIVERY_FAILED, f"partitions of {entry.topic} not known")
            else:
                self._waiting_batches.append(entry)

    def _send_split(self, entry: Entry, partitions: int) -> None:
        try:
            split = split_batch(
                entry.value,
                partitions,
                max_row_bytes=MAX_EVENT_BYTES,
                max_bytes=MAX_BATCH_BYTES,
                sample_rate=self._settings.sample_rate,
            )
        except Exception:
            _LOGGER.exception("a batch could not be split")
            self._drop(entry, Loss.INVALID, "a batch could not be split")
            return
        # The batch's place in the books passes to its parts; what has no part settles here.
        self._queue.split(
            len(split.parts), len(entry.value), sum(len(part.value) for part in split.parts)
        )
        self._sampled_out += split.sampled_out
        if split.too_large:
            self._lose(Loss.TOO_LARGE, split.too_large, "a row of a batch exceeds the limit")
        for part in split.parts:
            self._send(entry.topic, part.key, part.value, part.rows)

    def _partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 when nobody has said so yet."""
        now = time.monotonic()
        count, known_at = self._partitions.get(topic, (0, 0.0))
        if count and now - known_at < _PARTITIONS_VALID_SECONDS:
            return count
        producer = self._connect()
        if producer is None or now < self._next_metadata:
            return count
        try:
            found = producer.list_topics(topic, timeout=_METADATA_SECONDS).topics[topic]
        except KafkaException:
            found = None
        if found is None or found.error is not None or not found.partitions:
            self._next_metadata = time.monotonic() + _METADATA_SECONDS
            return count
        self._partitions[topic] = len(found.partitions), now
        return len(found.partitions)

    def _connect(self) -> Producer | None:
        if self._producer is None:
            try:
                self._producer = Producer(self._settings.producer_config())
            except (KafkaException, ValueError, TypeError) as failure:
                self._reporter.report(Loss.DELIVERY_FAILED, 0, f"no producer: {failure}")
        return self._producer

    def _drop(self, entry: Entry, reason: Loss, detail: str) -> None:
        self._settled_entries += 1
        self._settled_bytes += len(entry.value)
        self._lose(reason, entry.rows, detail)

    def _lose(self, reason: Loss, rows: int, detail: str) -> None:
        count, _ = self._lost.get(reason, (0, ""))
        self._lost[reason] = count + rows, detail

    def _settle(self) -> None:
        lost = self._lost
        if self._settled_entries or self._sampled_out or lost:
            self._queue.settle(
                self._settled_entries,
                self._settled_bytes,
                delivered=self._delivered,
                sampled_out=self._sampled_out,
                lost={reason: rows for reason, (rows, _) in lost.items()},
            )
            self._forget_settled()
        for reason, (rows, detail) in lost.items():
            self._reporter.report(reason, rows, detail)

    def _forget_settled(self) -> None:
        self._settled_entries = 0
        self._settled_bytes = 0
        self._delivered = 0
        self._sampled_out = 0
        self._lost: dict[Loss, tuple[int, str]] = {}

    def give_up(self) -> None:
        """Count what is left as lost and free the producer."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(_METADATA_SECONDS)
        while entries := self._queue.take(_MOST_TAKEN, wait=False):
            self._waiting_batches += entries
        for entry in self._waiting_batches:
            self._drop(entry, Loss.CLOSED, "closed before they were sent")
        self._waiting_batches = []
        if self._flying:
            # Librdkafka has not answered for these, and nobody will ask again.
            self._on_delivery(self._flying_rows, self._flying_bytes, _CLOSED, None)
            self._settled_entries += self._flying
        self._settle()
        self._producer = None


_CLOSED = KafkaError(KafkaError._PURGE_INFLIGHT)  # noqa: SLF001 - as above


def _reason(error: KafkaError) -> Loss:
    if error.code() in _PURGED:
        return Loss.CLOSED
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return Loss.TOO_LARGE
    return Loss.DELIVERY_FAILED
