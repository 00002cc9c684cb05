"""One Driftline worker under measurement: its configuration, its run, and whether it counted right.

The run ends when every window that holds a row has been published as final. The final tumbling
windows then have to sum up to exactly the rows that were sent, otherwise the run counts as failed.
"""

import asyncio
import json
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import orjson
from confluent_kafka import Consumer, TopicPartition
from measuring import Measured, Used, cpu_by_thread
from pydantic import ValidationError
from workload import COUNTRIES, MODEL, START_MS, Workload, draw

from streams.config import Settings
from streams.config.load import load
from streams.config.pipeline import ProcessingConfig
from streams.edge.topics import create
from streams.payloads import DriftEvent, Window, decode, rfc3339
from streams.profile.build import ProfileBuilder
from streams.profile.rows import ReferenceRows

MAIN = "import sys; from streams.cli import main; sys.exit(main())"
REFERENCE_ROWS = 100_000
TUMBLING_S, HOPPING_S = 60, 300
OVERLAP = HOPPING_S // TUMBLING_S
"""Hopping windows that hold a row."""
_PATIENCE = 120.0


class WrongCountsError(RuntimeError):
    """What was published does not add up to what was sent."""


@dataclass(slots=True, frozen=True)
class Variant:
    """One way to run the worker.

    Attributes:
        name: in the results.
        predictions: topic to read.
        feedback: likewise.
        partitions: partitions of both.
        segments: whether one segment is measured, of five values.
        guarantee: what the worker promises, where this version knows it.
        model: keys of the model's configuration that differ from the usual ones.
    """

    name: str
    predictions: str
    feedback: str
    partitions: int = 1
    segments: bool = False
    guarantee: str = "exactly_once"
    model: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Books:
    """Adds up what the metrics topic holds; the highest revision of a window counts.

    Attributes:
        closing: start of the window that closes the others, RFC 3339; it and later ones are left
            out.
    """

    closing: str
    windows: dict[tuple[str, str, str, str, float], Window] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    repeated: int = 0
    alarms: int = 0

    @classmethod
    def before(cls, workload: Workload) -> Self:
        """Add up what comes before the workload's closing event."""
        return cls(rfc3339(workload.closing_ms // 60_000 * 60_000))

    def take(self, value: bytes) -> None:
        """Take one record of the metrics topic."""
        payload = decode(value)
        if isinstance(payload, DriftEvent):
            self.alarms += 1
        if not isinstance(payload, Window) or payload.start >= self.closing:
            return
        self.repeated += payload.id in self.seen
        self.seen.add(payload.id)
        key = (
            payload.model_version,
            payload.segment,
            payload.view,
            payload.start,
            float(payload.size_s),
        )
        before = self.windows.get(key)
        if before is None or before.revision <= payload.revision:
            self.windows[key] = payload

    def final(self, view: str, segment: str = "*", size: float = TUMBLING_S) -> list[Window]:
        """Return the windows of all versions of a view that are final."""
        return [
            window
            for (version, where, seen, _, length), window in self.windows.items()
            if (version, where, seen, length) == ("*", segment, view, size) and window.final
        ]

    def predictions(self, segment: str = "*", size: float = TUMBLING_S) -> int:
        """Count predictions in final windows."""
        return sum(w.predictions or 0 for w in self.final("prediction_time", segment, size))

    def labels(
        self, view: str = "prediction_time", segment: str = "*", size: float = TUMBLING_S
    ) -> int:
        """Count labels in final windows."""
        return sum(w.labels for w in self.final(view, segment, size))

    def correct(self) -> float:
        """Count right predictions in final windows."""
        found = [w.confusion or {} for w in self.final("prediction_time")]
        return sum(c.get("tp", 0.0) + c.get("tn", 0.0) for c in found)

    def drifts(self) -> int:
        """Count distances from the reference that were computed."""
        return sum(
            len(distances) for w in self.windows.values() for distances in (w.drift or {}).values()
        )

    def complete(self, rows: int) -> bool:
        """Tell whether every row is in published final windows, of the overlapping ones too."""
        return all(
            self.predictions(size=size) >= rows * times
            and self.labels(size=size) >= rows * times
            and self.labels("label_time", size=size) >= rows * times
            for size, times in ((TUMBLING_S, 1), (HOPPING_S, OVERLAP))
        )

    def check(self, rows: int, correct: int, *, segments: bool) -> None:
        """Raise WrongCountsError unless every prediction and label was counted exactly once."""
        expected: dict[str, tuple[float, float]] = {
            "predictions": (self.predictions(), rows),
            "labels": (self.labels(), rows),
            "labels by label time": (self.labels("label_time"), rows),
            "predictions in hopping windows": (self.predictions(size=HOPPING_S), OVERLAP * rows),
            "labels in hopping windows": (self.labels(size=HOPPING_S), OVERLAP * rows),
            "correct": (self.correct(), correct),
            "repeated windows": (self.repeated, 0),
        }
        if segments:
            names = [f"country={name}" for name in COUNTRIES]
            expected["predictions of segments"] = (sum(map(self.predictions, names)), rows)
            expected["labels of segments"] = (
                sum(self.labels(segment=name) for name in names),
                rows,
            )
        wrong = {what: pair for what, pair in expected.items() if pair[0] != pair[1]}
        if wrong:
            told = ", ".join(f"{what}: {a:g} instead of {b:g}" for what, (a, b) in wrong.items())
            raise WrongCountsError(told)


def write_reference(workload: Workload, path: Path, model: Path) -> None:
    """Build the reference profile that the inputs are compared with, from rows of their own."""
    rows = draw(workload, 1 << 32, REFERENCE_ROWS)
    builder = ProfileBuilder(load_model(model))
    reference = ReferenceRows(
        n=REFERENCE_ROWS,
        numeric={name: rows.matrix[:, i] for i, name in enumerate(workload.names)},
        predicted=(rows.score >= 0.5).astype(float),
        actual=rows.actual.astype(float),
        score=rows.score,
    )
    builder.learn(reference)
    builder.settle()
    builder.count(reference)
    builder.finish(rfc3339(START_MS), "the benchmark's workload").write(path)


def load_model(path: Path) -> Any:
    """Read a model's configuration without its reference."""
    from streams.config.model import ModelConfig  # noqa: PLC0415 - only here

    return ModelConfig.model_validate(orjson.loads(path.read_bytes()) | {"reference": None})


def model_config(workload: Workload, *, segments: bool) -> dict[str, Any]:
    """Configure the model: ADWIN on the error, three distances, the default alert rules."""
    return {
        "model": MODEL,
        "task": "binary",
        "classes": ["false", "true"],
        "threshold": 0.5,
        "features": {name: {"kind": "numeric"} for name in workload.names},
        "segments": ["country"] if segments else [],
        "label_horizon": "10m",
        "remember": "10m",
        "allowed_lateness": "1m",
        "windows": [{"size": "1m"}, {"size": "5m", "hop": "1m"}],
        "detectors": [{"kind": "adwin", "on": "error"}],
        "drift": {"distances": ["psi", "jensen_shannon", "kolmogorov_smirnov"]},
        "reference": "reference.json",
    }


@cache
def guarantee_of(wanted: str) -> str:
    """Return the guarantee that is wanted, or the other one where this version has only that."""
    try:
        ProcessingConfig.model_validate({"guarantee": wanted})
    except ValidationError:
        return "at_least_once"
    return wanted


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def configure(bootstrap: str, variant: Variant, workload: Workload, folder: Path) -> Path:
    """Write the configuration and create the topics; return its path."""
    path = write_config(bootstrap, variant, workload, folder)
    asyncio.run(create(load(path)))
    return path


def settings_of(workload: Workload, variant: Variant, folder: Path) -> Settings:
    """Make settings without topics."""
    return load(write_config("localhost:9092", variant, workload, folder))


def write_config(bootstrap: str, variant: Variant, workload: Workload, folder: Path) -> Path:
    """Write the configuration (JSON is YAML); return its path."""
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    model = models / "risk.yaml"
    about = model_config(workload, segments=variant.segments) | variant.model
    model.write_bytes(orjson.dumps(about))
    reference = models / "reference.json"
    if about["reference"] and not reference.exists():
        write_reference(workload, reference, model)
    pipeline = {
        "application": f"bench-{variant.name.replace('_', '-')}",
        "kafka": {"bootstrap_servers": bootstrap},
        "topics": {
            "prefix": f"bench-{variant.name.replace('_', '-')}",
            "predictions": variant.predictions,
            "feedback": variant.feedback,
            "partitions": variant.partitions,
        },
        "processing": {"guarantee": guarantee_of(variant.guarantee)},
        "http": {"port": free_port()},
        "models": ["models/*.yaml"],
    }
    path = folder / "driftline.yaml"
    path.write_text(json.dumps(pipeline), encoding="utf-8")
    return path


@dataclass(slots=True)
class Run:
    """What a run showed.

    Attributes:
        used: what the worker had used when the last window was published.
        threads: CPU seconds by thread, most first.
        books: what it published.
        checkpoint_interval_s: as configured.
    """

    used: Used
    threads: dict[str, float]
    books: Books
    checkpoint_interval_s: float


def run_worker(
    config: Path, workload: Workload, correct: int, *, command: list[str] | None = None
) -> Run:
    """Run a worker over topics that are filled already, until everything is published.

    Raises:
        WrongCountsError: a row was lost or counted twice.
        RuntimeError: the worker ended early, or stood still.
    """
    settings = load(config)
    books = Books.before(workload)
    consumer = watch(settings)
    with Measured(command or worker_command(config), config.with_name("worker.log")) as worker:
        heard = time.monotonic()
        while not books.complete(workload.rows):
            if take_metrics(consumer, books):
                heard = time.monotonic()
            worker.check_alive()
            if time.monotonic() - heard > _PATIENCE:
                break
        used = worker.used()
        threads = cpu_by_thread(worker.process.pid)
        code = worker.terminate()
        if code:
            raise RuntimeError(f"the worker ended with code {code}:\n{worker.tail()}")
    consumer.close()
    segments = any(model.config.segments for model in settings.models.values())
    books.check(workload.rows, correct, segments=segments)
    interval = settings.pipeline.processing.checkpoint_interval / 1000
    return Run(used, threads, books, interval)


def take_metrics(consumer: Consumer, books: Books) -> int:
    """Take what was published since the last call; return how many records."""
    found = consumer.consume(500, 0.05)
    for message in found:
        if message.error():
            raise RuntimeError(str(message.error()))
        books.take(message.value())
    return len(found)


def run_idle(config: Path) -> Used:
    """Start a worker on empty topics and return what it used until it was ready."""
    port = load(config).pipeline.http.port
    with Measured(worker_command(config), config.with_name("worker.log")) as worker:
        wait_until(lambda: ready(port), worker)
        used = worker.used()
        worker.terminate()
    return used


def worker_command(config: Path) -> list[str]:
    """Return the command that starts a worker: the same as ``driftline worker``."""
    return [sys.executable, "-c", MAIN, "worker", "--config", str(config)]


def watch(settings: Settings) -> Consumer:
    """Read the metrics topic from its beginning."""
    pipeline = settings.pipeline
    consumer = Consumer(
        {
            "bootstrap.servers": pipeline.kafka.bootstrap_servers,
            "log_level": 0,
            "group.id": "bench-watch",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign([TopicPartition(pipeline.topics.name("metrics"), 0, 0)])
    return consumer


def ready(port: int) -> bool:
    """Tell whether a worker has its partitions and has restored them."""
    return bool(readiness(port).get("ready"))


def readiness(port: int) -> dict[str, Any]:
    """Return what a worker says of itself; empty while it does not answer or is not ready."""
    try:
        found: dict[str, Any] = orjson.loads(_get(port, "/readyz"))
    except OSError:
        return {}
    return found


def scraped(port: int, name: str) -> float:
    """Add up a metric that a worker shows, over all labels; 0 while it does not answer."""
    try:
        lines = _get(port, "/metrics").decode().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{"))


def _get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
        body: bytes = answer.read()
    return body


def wait_until(condition: Callable[[], bool], worker: Measured) -> None:
    """Wait for a worker to get somewhere; raise when it ends or takes too long."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        worker.check_alive()
        if time.monotonic() > deadline:
            raise RuntimeError(f"the worker did not get ready:\n{worker.tail()}")
        time.sleep(0.05)
