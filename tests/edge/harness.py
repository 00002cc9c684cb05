"""Worker processes for tests, watched through their own HTTP server."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, Producer, TopicPartition
from edge.totals import Totals

from streams.config import PipelineConfig, Settings
from streams.edge.security import client_options
from streams.edge.state import StateReader
from streams.edge.topics import declare
from support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
MAIN = Path(__file__).with_name("worker_main.py")


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Pipeline:
    """Settings under a prefix of their own, with the means to fill topics and to look at state."""

    def __init__(self, bootstrap_servers: str, name: str, folder: Path, **parts: Any) -> None:
        self.folder = folder
        self.given: dict[str, Any] = {
            "application": name,
            "kafka": {
                "bootstrap_servers": bootstrap_servers,
                "session_timeout": "3s",
                "request_timeout": "10s",
                **parts.pop("kafka", {}),
            },
            "topics": {"prefix": name, "partitions": 2, **parts.pop("topics", {})},
            "processing": {
                "unknown_models": "accept",
                "checkpoint_interval": "200ms",
                **parts.pop("processing", {}),
            },
            **parts,
        }
        self.settings = Settings.build(PipelineConfig.model_validate(self.given))
        self.partitions = self.settings.pipeline.topics.partitions
        self.name = self.settings.pipeline.topics.name
        self._options = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
        self.expected: dict[str, int] = {}
        self.sent = 0
        self._producer = Producer({**self._options, "linger.ms": 5})

    @property
    def layout(self) -> dict[str, int]:
        return {spec.name: spec.partitions for spec in declare(self.settings)}

    def send(self, numbers: Iterable[int]) -> None:
        """Publish each number once, every third one as feedback, and note the exact sums."""
        for number in numbers:
            logical = "feedback" if number % 3 == 0 else "predictions"
            key = f"{logical[0]}{number % 11}"
            value = f"{key}:{number}".encode()
            partition = number % self.partitions
            self._producer.produce(self.name(logical), value, key, partition)
            self._producer.poll(0)
            self.expected[key] = self.expected.get(key, 0) + number
            self.sent += 1
        self._producer.flush(10)

    def send_raw(self, logical: str, value: bytes, key: bytes | None = None, at: int = 0) -> None:
        self._producer.produce(self.name(logical), value, key, at)
        self._producer.flush(10)

    async def state(self) -> tuple[dict[str, int], dict[str, int], dict[int, dict[str, int]]]:
        """Read the join's durable state: sums, counts by source, positions by partition."""
        reader = StateReader(
            client_options(self.settings.pipeline.kafka), {"join": self.name("state_join")}
        )
        found = await reader.read([("join", p) for p in range(self.partitions)])
        totals: dict[str, int] = {}
        counts: dict[str, int] = {}
        positions = {}
        for (_, partition), restored in found.items():
            positions[partition] = restored.positions
            if restored.saved is None:
                continue
            processor = Totals(("predictions", "feedback"), partition)
            processor.restore(restored.saved)
            for key, value in processor.totals.items():
                totals[key] = totals.get(key, 0) + value
            for source, count in processor.counts.items():
                counts[source] = counts.get(source, 0) + count
        return totals, counts, positions

    def committed(self) -> dict[tuple[str, int], int]:
        """Ask the broker for the group's committed offsets of the join's sources."""
        # A killed worker leaves a transaction open; what it would have committed is not awaited.
        consumer = Consumer(
            {
                **self._options,
                "group.id": self.given["application"],
                "isolation.level": "read_uncommitted",
            }
        )
        wanted = [
            TopicPartition(self.name(source), p)
            for source in ("predictions", "feedback")
            for p in range(self.partitions)
        ]
        try:
            answer = consumer.committed(wanted, timeout=20)
        finally:
            consumer.close()
        return {(tp.topic, tp.partition): tp.offset for tp in answer if tp.offset >= 0}

    def read_all(self, logical: str) -> list[tuple[bytes | None, bytes]]:
        """Read a topic from its first record to its last."""
        consumer = Consumer({**self._options, "group.id": "reader", "enable.partition.eof": True})
        topic = self.name(logical)
        try:
            count = len(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, p, 0) for p in range(count)])
            found: list[tuple[bytes | None, bytes]] = []
            ended = 0
            while ended < count:
                message = consumer.poll(20)
                assert message is not None, f"no answer when reading {topic}"
                if message.error() is None:
                    found.append((message.key(), message.value()))
                else:
                    ended += 1
        finally:
            consumer.close()
        return found

    def worker(self, **kafka: str) -> "Worker":
        return Worker(self, kafka)


class Worker:
    """A worker process."""

    count = 0

    def __init__(self, pipeline: Pipeline, kafka: Mapping[str, str]) -> None:
        Worker.count += 1
        self.port = free_port()
        given = pipeline.given | {"http": {"port": self.port}}
        given["kafka"] = given["kafka"] | kafka
        settings = pipeline.folder / f"settings-{Worker.count}.json"
        settings.write_text(json.dumps(given), encoding="utf-8")
        self.logfile = pipeline.folder / f"worker-{Worker.count}.log"
        path = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
        with self.logfile.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(MAIN), str(settings)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": path},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Ask the worker's HTTP server; (0, {}) when it does not answer."""
        assert self.process.poll() is None, self.log()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as got:
                return got.status, json.load(got)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def ready(self) -> Self:
        wait_for(lambda: self.get("/readyz")[0] == 200, "the worker to be ready")
        return self

    def partitions(self) -> list[str]:
        return [f"{p['stage']}/{p['partition']}" for p in self.status().get("partitions", [])]

    def status(self) -> dict[str, Any]:
        return self.get("/metrics")[1]

    def has_read(self) -> int:
        """Count the records that are part of the join's processed state."""
        return sum(
            int(n)
            for p in self.status().get("partitions", [])
            if p["stage"] == "join"
            for n in p["processor"].values()
        )

    def checkpoints(self) -> int:
        """Count the join's checkpoints in the partition that has fewest."""
        joins = [p for p in self.status().get("partitions", []) if p["stage"] == "join"]
        return min((p["checkpoints"] for p in joins), default=0)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def terminate(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask the worker to stop; returns its exit code, which is 1 if it took over 10 s."""
        self.process.send_signal(how)
        return self.process.wait(30)

    def log(self) -> str:
        return self.logfile.read_text(encoding="utf-8", errors="replace")
