"""A real Apache Kafka for tests and benchmarks, started from its published jars.

``RealKafka`` is one node, ``RealCluster`` several; both are context managers. The jars are fetched
once with Maven into ``.driftline/kafka``; ``DRIFTLINE_KAFKA=host:port`` names a broker that runs
already and is used instead of the one node.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from confluent_kafka import ElectionType, KafkaException
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


def _new_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


@dataclass(frozen=True)
class Seat:
    """The place of a node in a cluster of several.

    Attributes:
        node: its number.
        cluster: id of the cluster.
        port: where clients connect.
        voters: controller port of every node.
    """

    node: int
    cluster: str
    port: int
    voters: Mapping[int, int]


class RealKafka:
    """One KRaft node on loopback, with its data in a folder of its own.

    Attributes:
        bootstrap_servers: where clients connect; the same after a restart.
    """

    def __init__(
        self,
        *,
        properties: Mapping[str, str] | None = None,
        heap: str = "512m",
        seat: Seat | None = None,
    ) -> None:
        """Prepare a node; nothing starts before ``start`` or ``with``.

        Args:
            properties: settings of the node beside the usual ones.
            heap: the most memory that the node may use for objects.
            seat: its place in a cluster; None where it is alone.
        """
        self.external = None if seat else os.environ.get(EXTERNAL)
        self._properties = dict(properties or {})
        self._heap = heap
        self._seat = seat
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
        if not self.external:
            self.prepare()
            self.launch()
        self.wait_until_ready()

    def prepare(self) -> None:
        """Make the data folder and format it."""
        self._library = jars()
        self._folder = Path(tempfile.mkdtemp(prefix="driftline-kafka-"))
        if self._seat is None:
            port, controller = _free_ports(2)
        else:
            port, controller = self._seat.port, self._seat.voters[self._seat.node]
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._configuration.write_text(
            "".join(f"{k}={v}\n" for k, v in self._settings(port, controller).items()),
            encoding="utf-8",
        )
        self._format()

    def _format(self) -> None:
        if self._seat is None:
            options = ["--standalone", f"--cluster-id={_new_id()}"]
        else:
            options = [f"--cluster-id={self._seat.cluster}"]
        formatting = subprocess.run(
            [
                *self._java("kafka.tools.StorageTool"),
                *("format", *options, "--config", str(self._configuration)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if formatting.returncode != 0:
            message = f"formatting failed:\n{formatting.stdout}\n{formatting.stderr}"
            raise KafkaUnavailableError(message)

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
        self.launch()
        self.wait_until_ready()

    def replace(self) -> None:
        """Start the node on an empty disk, after ``kill``; only where others have its data."""
        shutil.rmtree(self._home / "data")
        self._format()
        self.launch()
        self.wait_until_ready()

    def halt(self) -> None:
        """Stop the node in order; its data stay."""
        self._end(signal.SIGTERM)

    @property
    def running(self) -> bool:
        """Whether the node's process runs; it ends by itself when its disk fails."""
        return self._process is not None and self._process.poll() is None

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
        seat = self._seat
        if seat is None:
            quorum = {"controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}"}
        else:
            voters = [f"{node}@127.0.0.1:{at}" for node, at in seat.voters.items()]
            quorum = {"controller.quorum.voters": ",".join(voters)}
        return {
            "process.roles": "broker,controller",
            "node.id": "1" if seat is None else str(seat.node),
            "controller.listener.names": "CONTROLLER",
            **quorum,
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
            *("java", "-Xms96m", f"-Xmx{self._heap}", "-XX:+UseSerialGC"),
            *("-XX:ActiveProcessorCount=2", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
            f"-Dkafka.logs.dir={self._home / 'logs'}",
            f"-Dlog4j2.configurationFile={FOLDER / 'log4j2.properties'}",
            *("-cp", f"{self._library}/*", main),
        ]

    def launch(self) -> None:
        """Start the process; it does not answer yet."""
        with self._logfile.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java("kafka.Kafka"), str(self._configuration)],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches the tests, which then stop the node
            )

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
        return _admin(self.bootstrap_servers)

    def wait_until_ready(self) -> None:
        """Wait until the node answers.

        Raises:
            KafkaUnavailableError: it ended, or does not answer in time.
        """
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


def _admin(bootstrap_servers: str) -> AdminClient:
    return AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 0,
            "error_cb": lambda _: None,
            "reconnect.backoff.max.ms": 200,
        }
    )


class RealCluster:
    """Several KRaft nodes on loopback: each partition has three replicas, two must be in sync.

    Attributes:
        nodes: by number, from 1. ``kill``, ``restart`` and ``replace`` them as a single node.
        bootstrap_servers: all of them.
    """

    def __init__(self, *, nodes: int = 3, heap: str = "256m") -> None:
        """Prepare the nodes.

        Args:
            nodes: how many, at least three.
            heap: the most memory that one may use for objects.
        """
        ports = _free_ports(2 * nodes)
        voters = {number: ports[nodes + number - 1] for number in range(1, nodes + 1)}
        cluster = _new_id()
        self.nodes = {
            number: RealKafka(
                properties=_REPLICATED,
                heap=heap,
                seat=Seat(number, cluster, ports[number - 1], voters),
            )
            for number in voters
        }
        self.bootstrap_servers = ",".join(f"127.0.0.1:{port}" for port in ports[:nodes])

    def __enter__(self) -> Self:
        """Start all nodes and wait until each answers."""
        try:
            for node in self.nodes.values():
                node.prepare()
                node.launch()
            for node in self.nodes.values():
                node.wait_until_ready()
            self.wait_until_in_sync()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all nodes and remove their data."""
        self.stop()

    def stop(self) -> None:
        """Stop all nodes and remove their data."""
        for node in self.nodes.values():
            node.kill()  # in order the last ones would wait in vain for a majority
            node.stop()

    def wait_until_in_sync(self) -> None:
        """Wait until all nodes are there and no partition lacks a replica.

        Raises:
            KafkaUnavailableError: it takes too long.
        """
        admin = _admin(self.bootstrap_servers)
        deadline = time.monotonic() + 2 * READY_WITHIN
        while not self._in_sync(admin):
            if time.monotonic() > deadline:
                raise KafkaUnavailableError("the replicas did not come in sync")
            time.sleep(0.2)

    def _in_sync(self, admin: AdminClient) -> bool:
        try:
            metadata = admin.list_topics(timeout=5)
        except KafkaException:
            return False
        return len(metadata.brokers) == len(self.nodes) and all(
            len(partition.isrs) == len(partition.replicas)
            for topic in metadata.topics.values()
            for partition in topic.partitions.values()
        )

    def leaders(self) -> dict[tuple[str, int], int]:
        """Return the node that leads each partition."""
        metadata = _admin(self.bootstrap_servers).list_topics(timeout=20)
        return {
            (name, number): partition.leader
            for name, topic in metadata.topics.items()
            for number, partition in topic.partitions.items()
        }

    def elect_preferred(self) -> None:
        """Give each partition back to the leader that it was created with."""
        admin = _admin(self.bootstrap_servers)
        admin.elect_leaders(ElectionType.PREFERRED).result(timeout=60)


_REPLICATED = {
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "min.insync.replicas": "2",
    "auto.leader.rebalance.enable": "false",
    "controller.quorum.election.timeout.ms": "2000",
    "controller.quorum.fetch.timeout.ms": "3000",
    "replica.lag.time.max.ms": "10000",
}


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
