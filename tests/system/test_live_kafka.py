"""The whole pipeline on a real Apache Kafka, with real data: live equals replay."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from confluent_kafka import Producer
from replay.running import Json
from system import traffic
from system.checks import check_books, check_same, wait_until_done
from system.live import System, total

from streams.events.partitioner import partition_for
from support.kafka import RealKafka
from support.waiting import wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.data, pytest.mark.slow]

ROWS = 20_000


@pytest.fixture(scope="module")
def events(nannyml_data: Path, tmp_path_factory: pytest.TempPathFactory) -> traffic.Traffic:
    """Loans around the moment when car values begin to drift."""
    return traffic.make(nannyml_data, tmp_path_factory.mktemp("traffic"), ROWS, skip=15_000)


def event(identity: str, ts: int, **fields: Any) -> tuple[str, bytes]:
    """Make a prediction."""
    known = {"prediction_id": identity, "timestamp": ts, "model": "loan", "model_version": "1"}
    return identity, orjson.dumps(known | {"prediction": 1} | fields)


def start(kafka: RealKafka, name: str, folder: Path, model: Json) -> System:
    system = System(kafka.bootstrap_servers, name, folder, traffic.PIPELINE, model)
    system.create_topics()
    return system


def test_live_and_replay_publish_the_same_through_a_kill_and_with_two_workers(
    kafka: RealKafka, events: traffic.Traffic, model: Json, tmp_path: Path
) -> None:
    system = start(kafka, "whole", tmp_path, model | {"segments": []})
    most = len(events.events) * 3 // 4
    system.publish(events.events[:most])
    with system.worker() as worker:
        # The first checkpoints come when little of all that waits has been read.
        for stage in ("join", "monitor"):
            wait_for(
                lambda: worker.total(f"driftline_{stage}_checkpoints_total") > 0,  # noqa: B023 - at once
                f"a checkpoint of the {stage}",
            )
        worker.kill()
    with system.worker() as first, system.worker() as second:

        def shared() -> bool:
            owned = [
                {name for name in one.figures() if name.startswith("driftline_join_checkpoints")}
                for one in (first, second)
            ]
            together = len(owned[0] | owned[1]) == traffic.PARTITIONS
            return all(owned) and owned[0].isdisjoint(owned[1]) and together

        wait_for(shared, "the workers to share the partitions")
        system.publish(events.events[most:])
        wait_until_done(events, first, second)
        figures = check_books(events, first, second)
        assert total(figures, "driftline_join_misplaced") == 0
        first.terminate()
        second.terminate()
    check_same(system, events)


def test_garbage_goes_to_quarantine_as_it_came_and_harms_nothing(
    kafka: RealKafka, nannyml_data: Path, model: Json, tmp_path: Path
) -> None:
    events = traffic.make(nannyml_data, tmp_path, 600, skip=25_000)
    system = start(kafka, "garbage", tmp_path, model)
    random = np.random.default_rng(3)
    broken = [
        b"",
        b"\xff\xfe\x00",
        b"[" * 5_000,
        b'{"prediction_id": "x", "timestamp": NaN}',
        b'{"prediction_id": "", "timestamp": 1}',
        event("u", events.end, model="nobody")[1],
        event("c", events.end, prediction="maybe")[1],
        *(random.bytes(40) for _ in range(20)),
    ]
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    for topic in ("predictions", "feedback"):
        for number, value in enumerate(broken):
            producer.produce(
                system.topic(topic),
                value,
                f"key-{number}".encode(),
                number % traffic.PARTITIONS,
                headers=[("trace", str(number).encode())],
            )
        producer.produce(system.topic(topic), None, b"deleted", 0)
    producer.flush(30)
    # A service with another partitioner: its keys are on other partitions than theirs.
    misplaced = [event(f"stray-{i}", events.end) for i in range(8)]
    with system.worker() as worker:
        system.publish(events.events)
        wait_until_done(events, worker)
        for topic in ("predictions", "feedback"):
            wait_for(
                lambda: (
                    worker.total("driftline_quarantined_total", f'source="{topic}"')  # noqa: B023 - at once
                    >= len(broken)
                ),
                "quarantine",
            )
        for identity, value in misplaced:
            wrong = (partition_for(identity.encode(), traffic.PARTITIONS) + 1) % traffic.PARTITIONS
            producer.produce(system.topic("predictions"), value, identity.encode(), wrong)
        producer.flush(30)
        wait_for(
            lambda: worker.total("driftline_join_misplaced") == len(misplaced), "the wrong keys"
        )
        wait_for(lambda: "murmur2" in worker.log(), "the hint")
        worker.terminate()
    for topic in ("predictions", "feedback"):
        found: Counter[int] = Counter()
        for message in system.read(f"quarantine-{topic}"):
            headers = dict(message.headers())
            assert headers["driftline.source.topic"] == system.topic(topic).encode()
            assert headers["driftline.reason"]
            if "trace" in headers:
                number = int(headers["trace"])
                assert message.value() == broken[number]
                assert message.key() == f"key-{number}".encode()
                found[number] += 1
        assert found == Counter(range(len(broken)))
