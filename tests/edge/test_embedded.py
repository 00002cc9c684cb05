"""The embedded broker serves the two Kafka clients that Driftline uses."""

import threading
from collections.abc import Iterator
from pathlib import Path

import aiokafka
import confluent_kafka
import pytest

from streams.edge.embedded import EmbeddedBroker, EmbeddedBrokerError, library_path
from support.embedded import StartBroker, embedded

__all__ = ["embedded"]

pytestmark = pytest.mark.embedded

TOPIC = "driftline.predictions"


def produce(broker: EmbeddedBroker, values: list[bytes], partition: int = 0) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap_servers})
    for value in values:
        producer.produce(TOPIC, value, partition=partition)
    assert producer.flush(20) == 0


def consume(broker: EmbeddedBroker, group: str) -> Iterator[bytes]:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
        }
    )
    consumer.subscribe([TOPIC])
    try:
        while True:
            message = consumer.poll(20)
            assert message is not None
            assert message.error() is None
            yield message.value()
    finally:
        consumer.close()


def test_topics_have_the_partitions_that_were_asked_for(embedded: StartBroker) -> None:
    broker = embedded({"one": 1, "seven": 7})
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    topics = admin.list_topics(timeout=20).topics
    assert {name: len(topic.partitions) for name, topic in topics.items()} == {"one": 1, "seven": 7}


def test_a_consumer_group_of_librdkafka_reads_every_partition(embedded: StartBroker) -> None:
    broker = embedded({TOPIC: 3})
    sent = [b"%d" % number for number in range(30)]
    for partition in range(3):
        produce(broker, sent[partition::3], partition)
    records = consume(broker, "group")
    received = [next(records) for _ in sent]
    records.close()
    assert sorted(received) == sorted(sent)


async def test_aiokafka_reads_back_what_it_wrote(embedded: StartBroker) -> None:
    broker = embedded({TOPIC: 2})
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        for number in range(10):
            await producer.send_and_wait(TOPIC, b"%d" % number, partition=number % 2)
    consumer = aiokafka.AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=broker.bootstrap_servers,
        group_id="group",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
    )
    async with consumer:
        received = [(await consumer.getone()).value for _ in range(10)]
    assert sorted(received) == [b"%d" % number for number in range(10)]


async def test_a_successor_gets_the_partitions_and_offsets_of_a_member_that_left(
    embedded: StartBroker,
) -> None:
    broker = embedded({TOPIC: 2})

    def member() -> aiokafka.AIOKafkaConsumer:
        return aiokafka.AIOKafkaConsumer(
            TOPIC,
            bootstrap_servers=broker.bootstrap_servers,
            group_id="group",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            # Membership changes settle after the session timeout less one second.
            session_timeout_ms=1_200,
            heartbeat_interval_ms=100,
            fetch_max_wait_ms=20,
        )

    produce(broker, [b"first"])
    async with member() as consumer:
        assert (await consumer.getone()).value == b"first"
        await consumer.commit()
    produce(broker, [b"second"])
    async with member() as consumer:
        assert len(consumer.assignment()) == 2
        assert (await consumer.getone()).value == b"second"


def test_a_producer_delivers_after_the_broker_came_back(embedded: StartBroker) -> None:
    broker = embedded({TOPIC: 1})
    broker.down()
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0, "reconnect.backoff.ms": 10}
    )
    producer.produce(TOPIC, b"patient")
    assert producer.flush(0.2) == 1
    broker.up()
    assert producer.flush(20) == 0
    records = consume(broker, "group")
    assert next(records) == b"patient"
    records.close()


def test_two_brokers_share_nothing(embedded: StartBroker) -> None:
    first, second = embedded({TOPIC: 1}), embedded({TOPIC: 1})
    produce(first, [b"first"])
    produce(second, [b"second"])
    for broker, value in ((first, b"first"), (second, b"second")):
        records = consume(broker, "group")
        assert next(records) == value
        records.close()


def test_stopping_twice_and_from_another_thread_is_harmless() -> None:
    broker = EmbeddedBroker({TOPIC: 1})
    broker.start()
    other = threading.Thread(target=broker.stop)
    other.start()
    other.join()
    broker.stop()
    with pytest.raises(EmbeddedBrokerError, match="not running"):
        broker.down()


def test_a_topic_without_partitions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'driftline\.predictions' needs at least 1 partition"):
        EmbeddedBroker({TOPIC: 0})


def test_a_broker_that_fails_its_self_test_is_stopped_and_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(EmbeddedBroker, "_partition_counts", lambda broker: {TOPIC: 4})
    broker = EmbeddedBroker({TOPIC: 1})
    with pytest.raises(EmbeddedBrokerError, match=r"4\} instead of .* start a Kafka broker"):
        broker.start()
    with pytest.raises(EmbeddedBrokerError, match="not running"):
        broker.up()


@pytest.mark.parametrize(
    "name",
    [
        "confluent_kafka.libs/librdkafka-0cb94173.so.1",
        "confluent_kafka/.dylibs/librdkafka.1.dylib",
    ],
)
def test_the_library_is_found_in_wheels_of_linux_and_macos(tmp_path: Path, name: str) -> None:
    package = tmp_path / "confluent_kafka"
    package.mkdir()
    library = tmp_path / name
    library.parent.mkdir(exist_ok=True)
    library.touch()
    (library.parent / library.name.replace("librdkafka", "librdkafka++")).touch()
    assert library_path(package) == library


def test_a_missing_library_is_explained(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedBrokerError, match=r"no librdkafka found .* start a Kafka broker"):
        library_path(tmp_path / "confluent_kafka")
