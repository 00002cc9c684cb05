"""A real Apache Kafka for tests and benchmarks, started from its published jars.

``RealKafka`` is a context manager. The jars are fetched once with Maven into ``.driftline/kafka``;
``DRIFTLINE_KAFKA=host:port`` names a broker that runs already and is used instead.
"""

import base64
import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "tests" / "kafka"
POM = FOLDER / "pom.xml"
CACHE = REPOSITORY / ".driftline" / "kafka"
EXTERNAL = "DRIFTLINE_KAFKA"
READY_WITHIN = 60.0
STOP_WITHIN = 20.0


class KafkaUnavailableError(RuntimeError):
    """What is needed to start a broker is missing."""


def kafka_version() -> str:
    """Read the pinned version from the POM."""
    match = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", POM.read_text(encoding="utf-8"))
    if match is None:
        message = f"{POM} names no kafka.version"
        raise KafkaUnavailableError(message)
    return match.group(1)


def jars() -> Path:
    """Return the folder with the broker's jars, fetching them when they are not there yet.

    Raises:
        KafkaUnavailableError: Java or Maven is missing, or Maven could not fetch.
    """
    if shutil.which("java") is None:
        raise KafkaUnavailableError("java is not installed (Kafka 4 needs Java 17)")
    library = CACHE / kafka_version() / "lib"
    library.parent.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if library.is_dir():
            return library
        if shutil.which("mvn") is None:
            raise KafkaUnavailableError("mvn is not installed and the jars are not fetched yet")
        partial = library.with_name("partial")
        shutil.rmtree(partial, ignore_errors=True)
        fetch = subprocess.run(
            [
                *("mvn", "--batch-mode", "--quiet", "--file", str(POM)),
                *("dependency:copy-dependencies", "-DincludeScope=runtime"),
                f"-DoutputDirectory={partial}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if fetch.returncode != 0:
            message = f"Maven could not fetch Kafka's jars:\n{fetch.stdout[-2000:]}"
            raise KafkaUnavailableError(message)
        partial.rename(library)
        return library


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class RealKafka:
    """One KRaft node on loopback, with its data in a folder of its own.

    Attributes:
        bootstrap_servers: where clients connect; the same after a restart.
    """

    def __init__(self, *, properties: Mapping[str, str] | None = None, heap: str = "512m") -> None:
        """Prepare a node; nothing starts before ``start`` or ``with``.

        Args:
            properties: settings of the node beside the usual ones.
            heap: the most memory that the node may use for objects.
        """
        self.external = os.environ.get(EXTERNAL)
        self._properties = dict(properties or {})
        self._heap = heap
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._library: Path | None = None
        self.bootstrap_servers = self.external or ""

    def __enter__(self) -> Self:
        """Start the node and wait until it answers."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the node and remove its data."""
        self.stop()

    def start(self) -> None:
        """Format the data folder, start the node and wait until it answers."""
        if self.external:
            self._wait_until_ready()
            return
        self._library = jars()
        self._folder = Path(tempfile.mkdtemp(prefix="driftline-kafka-"))
        port, controller = _free_ports(2)
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._configuration.write_text(
            "".join(f"{k}={v}\n" for k, v in self._settings(port, controller).items()),
            encoding="utf-8",
        )
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        formatting = subprocess.run(
            [
                *self._java("kafka.tools.StorageTool"),
                *("format", "--standalone", f"--cluster-id={identity}"),
                *("--config", str(self._configuration)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if formatting.returncode != 0:
            message = f"formatting failed:\n{formatting.stdout}\n{formatting.stderr}"
            raise KafkaUnavailableError(message)
        self._launch()

    def stop(self) -> None:
        """Stop the node in order and remove its data."""
        self._end(signal.SIGTERM)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def kill(self) -> None:
        """End the node at once, as a power cut would; its data stay."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start the node again on its data and ports, after ``kill`` or while it runs."""
        self._end(signal.SIGTERM)
        self._launch()

    def log(self) -> str:
        """Return what the node wrote."""
        return self._logfile.read_text(encoding="utf-8", errors="replace")

    def create_topics(self, partitions: Mapping[str, int]) -> None:
        """Create topics with one replica each and wait until they can be used."""
        from confluent_kafka.admin import NewTopic  # noqa: PLC0415 - only here

        admin = self._admin()
        new = [NewTopic(name, count, 1) for name, count in partitions.items()]
        for future in admin.create_topics(new).values():
            future.result(timeout=30)

    @property
    def _configuration(self) -> Path:
        return self._home / "server.properties"

    @property
    def _logfile(self) -> Path:
        return self._home / "console.log"

    @property
    def _home(self) -> Path:
        if self._folder is None:
            raise RuntimeError("the node has not been started")
        return self._folder

    def _settings(self, port: int, controller: int) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self._home / "data"),
            "num.network.threads": "2",
            "num.io.threads": "2",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # A killed node's own registration must lapse before it may come back.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "log.segment.bytes": "67108864",
            **self._properties,
        }

    def _java(self, main: str) -> list[str]:
        return [
            *("java", "-Xms128m", f"-Xmx{self._heap}", "-XX:+UseSerialGC"),
            *("-XX:ActiveProcessorCount=2", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
            f"-Dkafka.logs.dir={self._home / 'logs'}",
            f"-Dlog4j2.configurationFile={FOLDER / 'log4j2.properties'}",
            *("-cp", f"{self._library}/*", main),
        ]

    def _launch(self) -> None:
        with self._logfile.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java("kafka.Kafka"), str(self._configuration)],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches the tests, which then stop the node
            )
        self._wait_until_ready()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _admin(self) -> AdminClient:
        return AdminClient(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "log_level": 0,
                "error_cb": lambda _: None,
                "reconnect.backoff.max.ms": 200,
            }
        )

    def _wait_until_ready(self) -> None:
        admin = self._admin()
        deadline = time.monotonic() + READY_WITHIN
        while True:
            if self._process is not None and self._process.poll() is not None:
                message = f"the broker ended with code {self._process.returncode}:\n{self.log()}"
                raise KafkaUnavailableError(message)
            try:
                if admin.list_topics(timeout=1).brokers:
                    return
            except KafkaException as error:
                if time.monotonic() > deadline:
                    self._end(signal.SIGKILL)
                    message = f"no answer from {self.bootstrap_servers} in {READY_WITHIN:g} s"
                    raise KafkaUnavailableError(message) from error


@pytest.fixture(scope="session")
def kafka() -> Iterator[RealKafka]:
    """Give a running Apache Kafka; skip where it cannot run, but fail on a CI server."""
    node = RealKafka()
    try:
        node.start()
    except KafkaUnavailableError as error:
        node.stop()
        if os.environ.get("CI"):
            pytest.fail(f"a real Kafka is required on CI: {error}")
        pytest.skip(f"no real Kafka here: {error}")
    yield node
    node.stop()
