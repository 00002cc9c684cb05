"""Steady load whose events happen now: predictions, and half a second later their labels.

    live_load.py BOOTSTRAP PREDICTIONS FEEDBACK ROWS_PER_SECOND SECONDS

Sends single messages of the benchmark's workload with new ids and times. Event time runs a little
faster than the clock, so that windows end at all phases of whatever a worker does once a second.
Prints what it achieved.
"""

import sys
import time
from collections import deque
from dataclasses import dataclass

import orjson
from confluent_kafka import Producer
from workload import Workload, draw, single_predictions

LABEL_DELAY_MS = 500
FASTER = 1 / 30
_STEP_S = 0.01
_TEMPLATES = 2_000


def event_time(started: float, now: float) -> float:
    """Return the time that events have at a moment, seconds."""
    return started + (now - started) * (1 + FASTER)


def sent_at(started: float, moment: float) -> float:
    """Return when events of a time are sent, seconds."""
    return started + (moment - started) / (1 + FASTER)


@dataclass(slots=True)
class Load:
    """Sends predictions and labels.

    Args:
        bootstrap: the broker.
        predictions: topic.
        feedback: topic.
    """

    bootstrap: str
    predictions: str
    feedback: str

    def run(self, rate: float, seconds: float) -> dict[str, float]:
        """Send so many rows per second for a while; return what was sent."""
        rows = draw(Workload(), 1 << 41, _TEMPLATES)
        rest = [value[value.index(b',"model"') :] for value in single_predictions(Workload(), rows)]
        options = {
            "bootstrap.servers": self.bootstrap,
            "log_level": 0,
            "linger.ms": 5,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
        producer = Producer(options)
        started = time.time()
        run = f"{int(started):08x}-0000-7000-8000-".encode()
        pending: deque[tuple[int, int, int]] = deque()
        sent, longest = 0, 0.0
        while (now := time.time()) - started < seconds:
            stamp = int(event_time(started, now) * 1000)
            until = int((now - started) * rate)
            longest = max(longest, (until - sent) / rate)
            for i in range(sent, until):
                key = run + b"%012x" % i
                value = b'{"prediction_id":"%s","timestamp":%d' % (key, stamp)
                self._send(producer, self.predictions, value + rest[i % _TEMPLATES], key)
            if until > sent:
                pending.append((stamp + LABEL_DELAY_MS, sent, until))
            sent = until
            while pending and pending[0][0] <= stamp:
                _, first, last = pending.popleft()
                for i in range(first, last):
                    key = run + b"%012x" % i
                    value = b'{"prediction_id":"%s","timestamp":%d,"actual":%s}' % (
                        *(key, stamp),
                        b"true" if i % 3 else b"false",
                    )
                    self._send(producer, self.feedback, value, key)
            producer.poll(0)
            time.sleep(max(0.0, _STEP_S - (time.time() - now)))
        producer.flush(30)
        return {
            "rows": sent,
            "started": started,
            "seconds": time.time() - started,
            "longest_pause_s": longest,
        }

    @staticmethod
    def _send(producer: Producer, topic: str, value: bytes, key: bytes) -> None:
        while True:
            try:
                producer.produce(topic, value, key, 0)
            except BufferError:
                producer.poll(0.01)
            else:
                return


if __name__ == "__main__":
    load = Load(*sys.argv[1:4])
    print(orjson.dumps(load.run(float(sys.argv[4]), float(sys.argv[5]))).decode())
