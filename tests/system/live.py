"""A pipeline as it is run: configuration files, topics, worker processes, and what they publish."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import orjson
from confluent_kafka import Consumer, KafkaException, TopicPartition
from replay.running import COMMAND, Json, ms, run, write_config

from streams.publish import Publisher

Event = tuple[str, str, bytes]
"""Logical topic, id and JSON of an event."""


class System:
    """One installation under a name of its own.

    Args:
        bootstrap_servers: the broker.
        name: its name, and the prefix of its topics.
        folder: where its files go.
        pipeline: the pipeline's configuration; address and names are put in here.
        model: the model's.
    """

    def __init__(
        self, bootstrap_servers: str, name: str, folder: Path, pipeline: Json, model: Json
    ) -> None:
        self.folder = folder / name
        self.name = name
        self.bootstrap_servers = bootstrap_servers
        self.pipeline = pipeline | {
            "application": name,
            "kafka": {"bootstrap_servers": bootstrap_servers, "session_timeout": "6s"},
            "topics": {**pipeline["topics"], "prefix": name},
        }
        self.model = model
        self.partitions: int = pipeline["topics"]["partitions"]
        self.config = write_config(self.folder, self.pipeline, model)
        self._workers = 0

    def create_topics(self) -> None:
        run("topics", "create", "--config", self.config)

    def topic(self, logical: str) -> str:
        return f"{self.name}.{logical}"

    def publish(self, events: Iterable[Event]) -> None:
        """Publish as a service does, in order, and see that nothing was lost."""
        publisher = Publisher(self.bootstrap_servers, max_events=200_000)
        for topic, identity, value in events:
            publisher.log_encoded(self.topic(topic), identity, value)
        publisher.close(60)
        stats = publisher.stats()
        assert not stats.lost, stats

    def worker(self) -> "WorkerProcess":
        self._workers += 1
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return WorkerProcess(self, port, self.folder / f"worker-{self._workers}.log")

    def read(self, logical: str) -> list[Any]:
        """Read a topic from its first message to its last."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "reader",
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        topic = self.topic(logical)
        found: list[Any] = []
        try:
            count = len(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, p, 0) for p in range(count)])
            ended = 0
            while ended < count:
                message = consumer.poll(20)
                if message is None:
                    raise KafkaException(f"no answer when reading {topic}")
                if message.error() is None:
                    found.append(message)
                else:
                    ended += 1
        finally:
            consumer.close()
        return found

    def published(self, logical: str) -> dict[str, bytes]:
        """Read metrics or alerts by id; what is published twice has to be the same."""
        found: dict[str, bytes] = {}
        for message in self.read(logical):
            payload = orjson.loads(message.value())
            assert found.setdefault(payload["id"], message.value()) == message.value()
        return found

    def replayed(self, predictions: Path, feedback: Path) -> tuple[dict[str, bytes], ...]:
        """Replay the same events from files: metrics and alerts by id."""
        out = self.folder / "replayed"
        run(
            *("replay", "--config", self.config, "--out", out),
            *("--predictions", predictions, "--feedback", feedback),
        )
        return by_id(out, "windows", "drift"), by_id(out, "alerts")


class WorkerProcess:
    """``driftline worker``, watched through its HTTP server."""

    def __init__(self, system: System, port: int, logfile: Path) -> None:
        self.logfile = logfile
        self._url = f"http://127.0.0.1:{port}"
        with logfile.open("wb") as log:
            self.process = subprocess.Popen(
                [COMMAND, "worker", "--config", str(system.config)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "DRIFTLINE__HTTP__PORT": str(port)},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def figures(self) -> dict[str, float]:
        """Scrape: value by series; empty while it does not answer."""
        assert self.process.poll() is None, self.log()
        try:
            with urllib.request.urlopen(f"{self._url}/metrics", timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        samples = (line.rsplit(" ", 1) for line in text.splitlines() if line[:1] not in {"#", ""})
        return {name: float(value) for name, value in samples}

    def total(self, name: str, *labels: str) -> float:
        """Sum the series of a name that have all these labels, such as ``stage="join"``."""
        return total(self.figures(), name, *labels)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> None:
        """Stop in order, within the ten seconds that are promised."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        assert code == 0, self.log()
        assert time.monotonic() - started < 12

    def log(self) -> str:
        return self.logfile.read_text(encoding="utf-8", errors="replace")


def total(figures: dict[str, float], name: str, *labels: str) -> float:
    return sum(
        value
        for series, value in figures.items()
        if series.partition("{")[0] == name and all(label in series for label in labels)
    )


def by_id(folder: Path, *files: str) -> dict[str, bytes]:
    """Read lines of files by the id in them."""
    return {
        orjson.loads(line)["id"]: line
        for name in files
        for line in (folder / f"{name}.jsonl").read_bytes().splitlines()
    }


def published_at(payload: bytes) -> int:
    """Event time at which something was published, ms."""
    found = orjson.loads(payload)
    return ms(found.get("published_at_event_time") or found["at"])
