"""The publisher never gets in the way, and its books balance."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from publish.reading import TOPICS, read_messages, rows_of

from streams import InvalidEventError, Loss, Publisher, PublisherStats
from streams.events.partitioner import partition_for
from streams.publish.publisher import Publisher as Direct
from support.embedded import StartBroker

NOWHERE = "127.0.0.1:1"
MODEL: dict[str, Any] = {"model": "fraud", "model_version": "3"}


def balances(stats: PublisherStats) -> bool:
    accounted = stats.delivered + stats.sampled_out + stats.pending + stats.lost_total
    return stats.logged == accounted


@contextmanager
def publisher_to_nowhere(**options: Any) -> Iterator[Direct]:
    publisher = Publisher(NOWHERE, **options)
    try:
        yield publisher
    finally:
        publisher.close(0)
        stats = publisher.stats()
        assert balances(stats)
        assert (stats.pending, stats.pending_bytes) == (0, 0)


def test_events_arrive_in_the_partition_of_their_id(embedded: StartBroker) -> None:
    broker = embedded(TOPICS)
    with Publisher(broker.bootstrap_servers) as publisher:
        ids = [publisher.log_prediction(**MODEL, score=0.5) for _ in range(50)]
        for made in ids:
            publisher.log_feedback(made, actual=True)
        assert publisher.flush(20) == 0
    for topic in TOPICS:
        messages = read_messages(broker, topic, 50)
        assert sorted(message.key().decode() for message in messages) == sorted(ids)
        for message in messages:
            assert message.partition() == partition_for(message.key(), 4)
            assert next(rows_of(message))["prediction_id"] == message.key().decode()
    assert publisher.stats() == PublisherStats(logged=100, delivered=100)


def test_a_batch_is_cut_by_the_partition_of_its_rows(embedded: StartBroker) -> None:
    broker = embedded(TOPICS)
    with Publisher(broker.bootstrap_servers) as publisher:
        ids = publisher.log_predictions(
            **MODEL,
            prediction=np.arange(1000) % 2 == 0,
            score=np.linspace(0, 1, 1000),
            features={"amount": np.arange(1000)},
            timestamp=1_700_000_000_000,
        )
        publisher.log_feedbacks(ids, actual=[1.5] * 1000)
        assert publisher.flush(20) == 0
        assert publisher.stats() == PublisherStats(logged=2000, delivered=2000)
    messages = read_messages(broker, "driftline.predictions", 1000)
    assert {message.partition() for message in messages} == {0, 1, 2, 3}
    rows = {row["prediction_id"]: row for message in messages for row in rows_of(message)}
    assert set(rows) == set(ids)
    for number in (0, 17, 999):
        assert rows[ids[number]] == {
            "prediction_id": ids[number],
            "timestamp": 1_700_000_000_000,
            "model": "fraud",
            "model_version": "3",
            "prediction": number % 2 == 0,
            "score": pytest.approx(number / 999),
            "features": {"amount": number},
        }
    for message in messages:
        for row in rows_of(message):
            assert partition_for(row["prediction_id"].encode(), 4) == message.partition()


def test_a_broker_that_is_away_blocks_no_call() -> None:
    with publisher_to_nowhere(max_events=5) as publisher:
        # Were a call to wait for the broker, this loop would not end before the test's limit.
        for _ in range(2_000):
            publisher.log_prediction(**MODEL)
            publisher.log_feedback("id", actual=1)
        publisher.log_predictions(**MODEL, score=[0.5] * 10)
        stats = publisher.stats()
        assert balances(stats)
        assert stats.delivered == 0
        assert stats.lost[Loss.QUEUE_FULL] >= 4_010 - 5 - 10


def test_events_wait_for_the_broker_and_arrive(embedded: StartBroker) -> None:
    broker = embedded(TOPICS)
    broker.down()
    with Publisher(broker.bootstrap_servers, librdkafka={"reconnect.backoff.ms": 10}) as publisher:
        publisher.log_prediction(**MODEL)
        publisher.log_predictions(**MODEL, score=[0.5] * 10)
        assert publisher.flush(0.2) == 11
        broker.up()
        assert publisher.flush(20) == 0
    assert publisher.stats() == PublisherStats(logged=11, delivered=11)


def test_the_newest_event_gives_way_by_default() -> None:
    with publisher_to_nowhere(max_events=3) as publisher:
        for number in range(10):
            publisher.log_prediction(f"id-{number}", **MODEL)
        stats = publisher.stats()
        assert stats.pending == 3
        assert stats.lost == {Loss.QUEUE_FULL: 7}


def test_the_limit_of_bytes_holds_as_well() -> None:
    with publisher_to_nowhere(max_bytes=10_000) as publisher:
        for _ in range(100):
            publisher.log_prediction(**MODEL, tags={"text": "x" * 1_000})
        stats = publisher.stats()
        assert 9_000 <= stats.pending_bytes <= 10_000
        assert stats.lost == {Loss.QUEUE_FULL: 100 - stats.pending}


def test_unconfirmed_events_are_lost_after_the_delivery_timeout() -> None:
    with publisher_to_nowhere(delivery_timeout=0.2) as publisher:
        publisher.log_prediction(**MODEL)
        publisher.log_predictions(**MODEL, score=[0.5, 0.6])
        assert publisher.flush(20) == 0
        assert publisher.stats() == PublisherStats(logged=3, lost={Loss.DELIVERY_FAILED: 3})


def test_a_producer_that_cannot_be_made_loses_events_without_raising() -> None:
    with publisher_to_nowhere(tls={"ca_file": "/nowhere/ca.pem"}) as publisher:
        publisher.log_prediction(**MODEL)
        assert publisher.flush(20) == 0
        assert publisher.stats().lost == {Loss.DELIVERY_FAILED: 1}


def test_too_large_events_and_rows_are_lost_alone(embedded: StartBroker) -> None:
    large = "x" * 300_000
    with Publisher(embedded(TOPICS).bootstrap_servers) as publisher:
        publisher.log_prediction(**MODEL, tags={"text": large})
        publisher.log_predictions(**MODEL, tags={"text": ["a", large, "b", large * 4]})
        publisher.log_predictions(**MODEL, tags={"text": ["y" * 100_000] * 60})
        assert publisher.flush(20) == 0
        assert publisher.stats() == PublisherStats(
            logged=65, delivered=62, lost={Loss.TOO_LARGE: 3}
        )


def test_a_batch_beyond_the_whole_queue_is_too_large() -> None:
    with publisher_to_nowhere(max_bytes=10_000) as publisher:
        publisher.log_predictions(**MODEL, tags={"text": ["x" * 1_000] * 20})
        assert publisher.stats().lost == {Loss.TOO_LARGE: 20}


INVALID: list[dict[str, Any]] = [
    {"prediction_id": ""},
    {"prediction_id": "x" * 257},
    {"prediction_id": 17},
    {"prediction_id": "\ud800"},
    {"model": ""},
    {"model_version": None},
    {"features": {"object": object()}},
    {"features": {("a", "b"): 1}},
    {"score": {object(): 1}},
]


@pytest.mark.parametrize("change", INVALID, ids=str)
def test_an_invalid_event_is_counted_and_raises_when_strict(change: dict[str, Any]) -> None:
    with publisher_to_nowhere() as publisher:
        publisher.log_prediction(**{**MODEL, **change})
        assert publisher.stats() == PublisherStats(logged=1, lost={Loss.INVALID: 1})
    with publisher_to_nowhere(strict=True) as publisher, pytest.raises(InvalidEventError):
        publisher.log_prediction(**{**MODEL, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"score": [0.5]},
        {"score": "ab"},
        {"score": 0.5},
        {"features": {"amount": [1, 2, 3]}},
        {"prediction_id": ["a", 2]},
        {"model": ""},
    ],
    ids=str,
)
def test_an_invalid_batch_is_counted_row_by_row(change: dict[str, Any]) -> None:
    with publisher_to_nowhere() as publisher:
        publisher.log_predictions(**{**MODEL, "prediction": [1, 2], **change})
        assert publisher.stats() == PublisherStats(logged=2, lost={Loss.INVALID: 2})


def test_feedback_needs_a_truth_or_an_outcome() -> None:
    with publisher_to_nowhere() as publisher:
        publisher.log_feedback("id", value=3.0)
        publisher.log_feedbacks(["a", "b"], value=[1.0, 2.0])
        assert publisher.stats() == PublisherStats(logged=3, lost={Loss.INVALID: 3})


def test_events_after_the_end_are_lost_as_closed(embedded: StartBroker) -> None:
    publisher = Publisher(embedded(TOPICS).bootstrap_servers)
    publisher.log_prediction(**MODEL)
    publisher.close(20)
    publisher.close()
    publisher.log_prediction(**MODEL)
    assert publisher.stats() == PublisherStats(logged=2, delivered=1, lost={Loss.CLOSED: 1})


def test_closing_counts_what_was_not_confirmed() -> None:
    with publisher_to_nowhere() as publisher:
        for _ in range(10):
            publisher.log_prediction(**MODEL)
        publisher.log_predictions(**MODEL, score=[0.1] * 5)
        publisher.close(0.1)
        assert publisher.stats() == PublisherStats(logged=15, lost={Loss.CLOSED: 15})


def test_every_loss_reaches_the_callback_even_one_that_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: dict[Loss, int] = {}

    def on_loss(reason: Loss, events: int) -> None:
        told[reason] = told.get(reason, 0) + events
        raise ValueError("the application's own trouble")

    with publisher_to_nowhere(max_events=2, on_loss=on_loss) as publisher:
        for _ in range(9):
            publisher.log_prediction(**MODEL)
        publisher.log_prediction("", **MODEL)
        publisher.close(0)
        assert told == publisher.stats().lost
    warnings = [r for r in caplog.records if r.levelname == "WARNING" and "queue" in r.message]
    assert len(warnings) == 1


def test_a_disabled_publisher_only_hands_out_ids() -> None:
    publisher = Publisher(enabled=False)
    assert publisher.log_prediction("mine", **MODEL) == "mine"
    assert len(publisher.log_predictions(**MODEL, score=[1, 2])) == 2
    publisher.log_feedback("mine")
    publisher.log_feedbacks(["mine"])
    assert publisher.stats() == PublisherStats()
    publisher.close()


def test_sampling_keeps_a_prediction_together_with_its_feedback(embedded: StartBroker) -> None:
    broker = embedded(TOPICS)
    ids = [f"id-{number}" for number in range(400)]
    with Publisher(broker.bootstrap_servers, sample_rate=0.25) as publisher:
        for made in ids:
            publisher.log_prediction(made, **MODEL)
        publisher.log_feedbacks(ids, actual=[True] * 400)
        assert publisher.flush(20) == 0
        stats = publisher.stats()
    assert balances(stats)
    kept = stats.delivered // 2
    assert 60 < kept < 140
    found = [
        {row["prediction_id"] for m in read_messages(broker, topic, kept) for row in rows_of(m)}
        for topic in TOPICS
    ]
    assert found[0] == found[1]
    assert len(found[0]) == kept


async def test_asynchronous_services_log_flush_and_close(embedded: StartBroker) -> None:
    async with Publisher(embedded(TOPICS).bootstrap_servers) as publisher:
        publisher.log_prediction(**MODEL)
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(beat())
        assert await publisher.aflush(20) == 0
        other.cancel()
        assert beats > 1
    assert publisher.stats() == PublisherStats(logged=1, delivered=1)


def test_threads_share_a_publisher(embedded: StartBroker) -> None:
    with Publisher(embedded(TOPICS).bootstrap_servers) as publisher:

        def work() -> None:
            for _ in range(500):
                publisher.log_prediction(**MODEL)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert publisher.flush(20) == 0
    assert publisher.stats() == PublisherStats(logged=2_000, delivered=2_000)
