"""Sends the traffic at a steady rate, whatever happens to the brokers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from chaos.oracle import Sent
from chaos.traffic import Event, Traffic

STEP_SECONDS = 0.05
PATIENCE_SECONDS = 180


class LoadError(RuntimeError):
    """The load itself failed: what was sent is not known."""


class Load:
    """A thread that publishes events as event time passes.

    Args:
        bootstrap_servers: the brokers.
        topics: full name of the topic of each side.
        traffic: what to send.
        speed: seconds of event time per second.
    """

    def __init__(
        self, bootstrap_servers: str, topics: dict[str, str], traffic: Traffic, speed: float
    ) -> None:
        self.traffic = traffic
        self._topics = topics
        self._speed = speed
        self._sent: list[tuple[int, Sent]] = []
        self._produced = 0
        self._failure: str | None = None
        self._stop = threading.Event()
        self._flowing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "log_level": 0,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "compression.type": "lz4",
                "message.timeout.ms": 1000 * PATIENCE_SECONDS,
                "queue.buffering.max.messages": 2_000_000,
                "reconnect.backoff.max.ms": 500,
            }
        )

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Send nothing for a while, what is on its way has arrived; afterwards catch up.

        A broker whose disk is full refuses messages and does not say whether it has them.

        Raises:
            LoadError: something did not arrive.
        """
        with self._flowing:
            if self._producer.flush(PATIENCE_SECONDS):
                raise LoadError("the brokers do not take what is sent")
            yield

    def finish(self, partitions: int) -> tuple[int, list[Sent]]:
        """Send the events that end the traffic, and wait until everything has arrived.

        Returns:
            The moment of the end, ms, and all that was sent, in the order of sending.

        Raises:
            LoadError: something did not arrive.
        """
        self._stop.set()
        self._thread.join()
        end, events = self.traffic.end(partitions)
        for event in events:
            self._send(event)
        left = self._producer.flush(PATIENCE_SECONDS)
        if left or self._failure:
            raise LoadError(self._failure or f"{left} messages were not taken by the brokers")
        ordered = [sent for _, sent in sorted(self._sent, key=lambda pair: pair[0])]
        places = {(one.side, one.partition, one.offset) for one in ordered}
        if len(ordered) != self._produced or len(places) != self._produced:
            raise LoadError("a message has no place of its own in its topic")
        return end, ordered

    def _run(self) -> None:
        started = time.monotonic()
        while not self._stop.wait(STEP_SECONDS):
            passed = (time.monotonic() - started) * 1000 * self._speed
            with self._flowing:
                for event in self.traffic.until(self.traffic.start + int(passed)):
                    self._send(event)
                self._producer.poll(0)

    def _send(self, event: Event) -> None:
        number = self._produced
        self._produced += 1

        def arrived(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failure = str(error)
                return
            partition, offset = int(message.partition() or 0), int(message.offset() or 0)
            sent = Sent(event.side, partition, offset, event.key, event.value, event.body)
            self._sent.append((number, sent))

        options: dict[str, Any] = {"key": event.key.encode(), "on_delivery": arrived}
        self._producer.produce(self._topics[event.side], event.value, **options)
