"""A Kafka broker inside this process, for demonstrations and tests: no Java, no container.

The confluent-kafka wheel carries librdkafka, and librdkafka carries a mock cluster that speaks
Kafka's protocol on a loopback port. ``EmbeddedBroker`` drives it through ctypes and sets what the
Python package does not offer: topics with a chosen number of partitions, and a consumer group that
is balanced at once instead of after three seconds.

What it is not:

* It keeps at most 5 MiB of record batches, as sent (compressed), per partition and drops the oldest
  beyond that. No exported function changes this. Consumers have to keep up, and a topic that
  outgrows the limit cannot be read back from its beginning.
* Consumer groups of one member work as usual. A group of several may fail to form: the broker
  considers a group complete as soon as its leader has synchronised, and refuses members that come
  later. A change of membership settles after the session timeout less one second.
* No compaction, no time-based retention, no transactions that hide aborted records, no security,
  no administration (topics exist from the start), no time-to-offset lookup. Everything is lost
  when the process ends, and it listens on 127.0.0.1 alone.

librdkafka calls the interface experimental. The package's version is therefore pinned, and every
start checks that the broker answers with the topics that were asked for.
"""

import ctypes
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import confluent_kafka
from confluent_kafka.admin import AdminClient

_PRODUCER = 0
_BROKER = 1
_ERROR_SIZE = 512
_SELF_TEST_SECONDS = 10.0
# The cluster's thread may overlook a command that follows another at once, and then sleeps for a
# second before it looks again.
_BETWEEN_COMMANDS_SECONDS = 0.005

_POINTER = ctypes.c_void_p
_TEXT = ctypes.c_char_p
_INT = ctypes.c_int
_SIGNATURES: dict[str, tuple[type | None, list[type]]] = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_conf_set": (_INT, [_POINTER, _TEXT, _TEXT, _TEXT, ctypes.c_size_t]),
    "rd_kafka_new": (_POINTER, [_INT, _POINTER, _TEXT, ctypes.c_size_t]),
    "rd_kafka_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_new": (_POINTER, [_POINTER, _INT]),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, [_POINTER]),
    "rd_kafka_mock_cluster_destroy": (None, [_POINTER]),
    "rd_kafka_mock_topic_create": (_INT, [_POINTER, _TEXT, _INT, _INT]),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_down": (_INT, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_up": (_INT, [_POINTER, ctypes.c_int32]),
}


class EmbeddedBrokerError(RuntimeError):
    """The embedded broker cannot run here; the message says why and what to use instead."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"the embedded broker is not available: {problem} "
            f"(confluent-kafka {confluent_kafka.version()}); start a Kafka broker and give "
            "its address with --bootstrap-servers",
        )


class EmbeddedBroker:
    """One broker with the given topics; use it as a context manager.

    Example:
        >>> with EmbeddedBroker({"driftline.predictions": 4}) as broker:
        ...     print(broker.bootstrap_servers.split(":")[0])
        127.0.0.1

    Args:
        topics: number of partitions of each topic. Clients that name another topic create it
            with 4 partitions.

    Raises:
        ValueError: when a topic has no partition.
        EmbeddedBrokerError: on entering, when librdkafka is not found, lacks a function, or the
            started broker fails its self-test.
    """

    def __init__(self, topics: Mapping[str, int]) -> None:
        for topic, partitions in topics.items():
            if partitions < 1:
                raise ValueError(f"topic {topic!r} needs at least 1 partition, not {partitions}")
        self._topics = dict(topics)
        self._library: ctypes.CDLL | None = None
        self._client: int | None = None
        self._cluster: int | None = None
        self._lock = threading.Lock()
        self._bootstrap_servers = ""

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients, ``host:port``; empty before the start."""
        return self._bootstrap_servers

    def start(self) -> None:
        """Start the broker, create the topics and check that both are there."""
        self._library = _load()
        errors = ctypes.create_string_buffer(_ERROR_SIZE)
        settings = self._library.rd_kafka_conf_new()
        for name, value in ((b"client.id", b"driftline-embedded"), (b"log_level", b"0")):
            if self._library.rd_kafka_conf_set(settings, name, value, errors, _ERROR_SIZE):
                raise EmbeddedBrokerError(errors.value.decode())
        self._client = self._library.rd_kafka_new(_PRODUCER, settings, errors, _ERROR_SIZE)
        if not self._client:
            raise EmbeddedBrokerError(errors.value.decode())
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            self.stop()
            raise EmbeddedBrokerError("librdkafka refused to create a mock cluster")
        try:
            self._prepare(self._library, self._cluster)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the broker and free everything it kept; repeated calls are harmless."""
        with self._lock:
            if self._library is None:
                return
            if self._cluster:
                self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            if self._client:
                self._library.rd_kafka_destroy(self._client)
            self._library = self._cluster = self._client = None

    def down(self) -> None:
        """Close all connections and refuse new ones; stored records stay."""
        self._switch("rd_kafka_mock_broker_set_down")

    def up(self) -> None:
        """Accept connections again."""
        self._switch("rd_kafka_mock_broker_set_up")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _prepare(self, library: ctypes.CDLL, cluster: int) -> None:
        address: bytes | None = library.rd_kafka_mock_cluster_bootstraps(cluster)
        if not address:
            raise EmbeddedBrokerError("it has no address")
        self._bootstrap_servers = address.decode()
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
        for topic, partitions in self._topics.items():
            time.sleep(_BETWEEN_COMMANDS_SECONDS)
            code = library.rd_kafka_mock_topic_create(cluster, topic.encode(), partitions, 1)
            if code:
                reason = confluent_kafka.KafkaError(code).str()
                raise EmbeddedBrokerError(
                    f"topic {topic!r} with {partitions} partitions was refused: {reason}",
                )
        found = self._partition_counts()
        if found != self._topics:
            raise EmbeddedBrokerError(f"it has the topics {found} instead of {self._topics}")

    def _partition_counts(self) -> dict[str, int]:
        admin = AdminClient({"bootstrap.servers": self._bootstrap_servers, "log_level": 0})
        try:
            topics = admin.list_topics(timeout=_SELF_TEST_SECONDS).topics
        except confluent_kafka.KafkaException as failure:
            raise EmbeddedBrokerError(f"it does not answer: {failure}") from failure
        return {name: len(topic.partitions) for name, topic in topics.items()}

    def _switch(self, function: str) -> None:
        with self._lock:
            if self._library is None:
                raise EmbeddedBrokerError("it is not running")
            getattr(self._library, function)(self._cluster, _BROKER)


def library_path(package: Path) -> Path:
    """Find the librdkafka that the confluent-kafka wheel brought along.

    Args:
        package: directory of the ``confluent_kafka`` package.

    Raises:
        EmbeddedBrokerError: when there is none, as in builds from source.
    """
    # auditwheel (Linux) puts libraries beside the package, delocate (macOS) inside it.
    places = (
        (package.parent / "confluent_kafka.libs", "librdkafka*.so*"),
        (package / ".dylibs", "librdkafka*.dylib"),
    )
    for directory, pattern in places:
        for candidate in sorted(directory.glob(pattern)):
            # The C++ binding would match as well; it lacks the C functions.
            if "++" not in candidate.name:
                return candidate
    looked = ", ".join(str(directory / pattern) for directory, pattern in places)
    raise EmbeddedBrokerError(f"no librdkafka found as {looked}")


def _load() -> ctypes.CDLL:
    path = library_path(Path(confluent_kafka.__file__).parent)
    try:
        library = ctypes.CDLL(str(path))
    except OSError as failure:
        raise EmbeddedBrokerError(f"{path.name} cannot be loaded: {failure}") from failure
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name, None)
        if function is None:
            raise EmbeddedBrokerError(f"{path.name} has no function {name}")
        function.restype = result
        function.argtypes = arguments
    return library
