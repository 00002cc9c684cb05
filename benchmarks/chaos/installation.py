"""One installation of Driftline under a name of its own: files, topics, and what they hold."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from replay.running import run

from chaos.oracle import Sent
from chaos.traffic import TICK, models
from chaos.verify import Published, milliseconds
from streams.config.load import load

READ_SECONDS = 30.0
PARTITIONS = 6
SESSION_SECONDS = 6


class Installation:
    """Configuration files, topics and their content.

    Args:
        bootstrap_servers: the brokers.
        name: its name, and the prefix of its topics.
        folder: where its files go.
        rate: predictions per second of event time.
        guarantee: ``exactly_once`` or ``at_least_once``.
        replicas: copies of each partition.
        configs: other models than those of the traffic.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        name: str,
        folder: Path,
        *,
        rate: float,
        guarantee: str,
        replicas: int = 1,
        configs: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder / name
        self.bootstrap_servers = bootstrap_servers
        self.rate = rate
        self.once = guarantee == "exactly_once"
        pipeline: dict[str, Any] = {
            "application": name,
            "kafka": {
                "bootstrap_servers": bootstrap_servers,
                "session_timeout": f"{SESSION_SECONDS}s",
            },
            "topics": {"prefix": name, "partitions": PARTITIONS, "replication_factor": replicas},
            # Without idleness what comes out depends on the topics' content alone.
            "processing": {"guarantee": guarantee, "tick": f"{TICK}ms", "idle_timeout": "1h"},
            "limits": {"max_future": "1h"},
            "sinks": {"publish_unmatched": ["late", "orphan", "conflict", "expired"]},
            "models": ["model-*.yaml"],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        for model, config in (configs or models(rate)).items():
            (self.folder / f"model-{model}.yaml").write_text(json.dumps(config), encoding="utf-8")
        self.config = self.folder / "driftline.yaml"
        self.config.write_text(json.dumps(pipeline), encoding="utf-8")
        self.topics = load(self.config).pipeline.topics

    def create_topics(self) -> None:
        """Create all topics, as an operator does."""
        run("topics", "create", "--config", self.config)

    def published(self) -> Published:
        """Read everything that committed transactions have published."""
        quarantined = [
            dict(message.headers() or ())
            for side in ("predictions", "feedback")
            for message in self.read(f"quarantine_{side}")
        ]
        metrics, alerts, unmatched = (
            [message.value() for message in self.read(logical)]
            for logical in ("metrics", "alerts", "unmatched")
        )
        return Published(metrics, alerts, unmatched, quarantined)

    def read(self, logical: str) -> list[Any]:
        """Read a topic from its first message to its last."""
        return read_topic(self.bootstrap_servers, self.topics.name(logical))

    def damage_state(self, chance: random.Random) -> Callable[[], None]:
        """Overwrite a record of the join's state; returns what repairs it."""
        live = {
            (message.partition(), message.key()): message.value()
            for message in self.read("state_join")
        }
        place, value = chance.choice(sorted(item for item in live.items() if item[1] is not None))
        damaged = value[:1] + bytes(255 - byte for byte in value[1:])
        self._write_state(place, damaged)
        return lambda: self._write_state(place, value)

    def _write_state(self, place: tuple[int, bytes], value: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        partition, key = place
        producer.produce(self.topics.name("state_join"), value, key, partition)
        if producer.flush(READ_SECONDS):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - its name for it

    def replayed(self, sent: Sequence[Sent], end: int) -> tuple[list[bytes], list[bytes]]:
        """Replay what was sent, from files; gives metrics and alerts that were due by the end."""
        out = self.folder / "replayed"
        files = {side: self.folder / f"{side}.jsonl" for side in ("predictions", "feedback")}
        for side, path in files.items():
            lines = [one.value + b"\n" for one in sent if one.side == side and one.body is not None]
            path.write_bytes(b"".join(lines))
        run(
            *("replay", "--config", self.config, "--out", out),
            *("--predictions", files["predictions"], "--feedback", files["feedback"]),
        )

        def due(*names: str) -> list[bytes]:
            found = [
                line for name in names for line in (out / f"{name}.jsonl").read_bytes().splitlines()
            ]
            return [line for line in found if _published_at(line) <= end]

        return due("windows", "drift"), due("alerts")


def _published_at(payload: bytes) -> int:
    found = orjson.loads(payload)
    return milliseconds(found.get("published_at_event_time") or found["at"])


def read_topic(bootstrap_servers: str, topic: str) -> list[Any]:
    """Read a topic from its first message to its last, committed ones only.

    Raises:
        KafkaException: the brokers do not answer.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "chaos-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "log_level": 0,
        }
    )
    try:
        known = consumer.list_topics(topic, timeout=READ_SECONDS).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in known])
        found: list[Any] = []
        ended: set[int] = set()
        while len(ended) < len(known):
            message = consumer.poll(READ_SECONDS)
            if message is None:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - its name for it
            if message.error() is None:
                found.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - likewise
                ended.add(message.partition())
        return found
    finally:
        consumer.close()
