"""Publishes the demo's traffic as it falls due, beside the view."""

import threading
import time

from streams import Publisher
from streams.config.pipeline import TopicsConfig
from streams.demo.traffic import Sent, Traffic
from streams.publish.stats import PublisherStats

_EVERY_SECONDS = 0.05
_MOST_EVENTS = 200_000
# The embedded broker gives one batch of a partition per fetch: many small ones hold readers up.
_LINGER_MS = 200


class Feeder(threading.Thread):
    """A thread that plays the services.

    Args:
        bootstrap_servers: address of the broker.
        topics: where to publish.
        traffic: what to publish.
    """

    def __init__(self, bootstrap_servers: str, topics: TopicsConfig, traffic: Traffic) -> None:
        super().__init__(name="demo-traffic", daemon=True)
        self._topics = {
            "broken_prediction": topics.name("predictions"),
            "broken_feedback": topics.name("feedback"),
        }
        self._publisher = Publisher(
            bootstrap_servers,
            predictions_topic=topics.name("predictions"),
            feedback_topic=topics.name("feedback"),
            max_events=_MOST_EVENTS,
            librdkafka={"linger.ms": _LINGER_MS},
        )
        self._traffic = traffic
        self._ended = threading.Event()
        self._failure: Exception | None = None

    def run(self) -> None:
        """Publish until :meth:`stop`."""
        try:
            while not self._ended.wait(_EVERY_SECONDS):
                for sent in self._traffic.until(time.time()):
                    self._publish(sent)
        except Exception as failure:  # noqa: BLE001 - told by check, to whoever waits for traffic
            self._failure = failure

    def check(self) -> None:
        """Raise what ended the traffic, if something did."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> PublisherStats:
        """Stop, deliver what was published, and give the publisher's counts."""
        self._ended.set()
        if self.is_alive():
            self.join()
        self._publisher.close(10.0)
        return self._publisher.stats()

    def _publish(self, sent: Sent) -> None:
        if sent.kind == "prediction":
            self._publisher.log_prediction(sent.id, **sent.fields)
        elif sent.kind == "feedback":
            self._publisher.log_feedback(sent.id, **sent.fields)
        else:
            self._publisher.log_encoded(self._topics[sent.kind], sent.id, sent.body)
