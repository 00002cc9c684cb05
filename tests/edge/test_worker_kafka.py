"""Workers on a real Apache Kafka: crashes, rebalances, broken state, a broker that dies."""

import asyncio
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from edge.harness import Pipeline, Worker

from streams.edge.errors import TopicError
from streams.edge.security import client_options
from streams.edge.topics import check_layout, create, inspect, partition_counts
from support.kafka import RealKafka
from support.waiting import wait_for

pytestmark = pytest.mark.kafka


async def start(node: RealKafka, name: str, folder: Path, **parts: Any) -> Pipeline:
    pipeline = Pipeline(node.bootstrap_servers, name, folder, **parts)
    await create(pipeline.settings)
    return pipeline


@contextmanager
def traffic(pipeline: Pipeline) -> Iterator[None]:
    """Publish numbers all the time, about two thousand a second."""
    stop = threading.Event()

    def publish() -> None:
        first = pipeline.sent
        while not stop.wait(0.05):
            pipeline.send(range(first, first + 100))
            first += 100

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def check_exact(pipeline: Pipeline, *workers: Worker) -> None:
    """Wait until everything is read, stop the workers in order, and compare every sum."""
    wait_for(lambda: sum(w.has_read() for w in workers) == pipeline.sent, "all to be read")
    for worker in workers:
        assert worker.terminate() == 0, worker.log()
    totals, counts, _ = await pipeline.state()
    assert totals == pipeline.expected
    assert sum(counts.values()) == pipeline.sent


async def test_every_record_counts_once_through_kills_at_random_moments(
    kafka: RealKafka, tmp_path: Path
) -> None:
    moments = random.Random(5)
    pipeline = await start(kafka, "kills", tmp_path, kafka={"group_instance_id": "one"})
    pipeline.send(range(1000))
    with traffic(pipeline):
        for _ in range(3):
            with pipeline.worker() as worker:
                before = worker.ready().has_read()
                wait_for(lambda: worker.has_read() > before, "progress")  # noqa: B023 - at once
                await asyncio.sleep(moments.uniform(0.0, 1.0))
                worker.kill()
            _, _, positions = await pipeline.state()
            for (topic, partition), offset in pipeline.committed().items():
                source = topic.rpartition(".")[2]
                assert offset <= positions[partition][source]
    with pipeline.worker() as worker:
        await check_exact(pipeline, worker)


async def test_every_record_counts_once_while_workers_join_and_leave(
    kafka: RealKafka, tmp_path: Path
) -> None:
    pipeline = await start(kafka, "shared", tmp_path)
    with pipeline.worker() as first, traffic(pipeline):
        wait_for(lambda: first.has_read() > 0, "the first worker to read")
        with pipeline.worker() as second:
            wait_for(lambda: second.has_read() > 0, "the second worker to read")
            first.ready()
            joins = [p for p in first.partitions() + second.partitions() if p.startswith("join")]
            assert sorted(joins) == ["join/0", "join/1"]
            assert second.terminate() == 0, second.log()
        wait_for(lambda: len(first.partitions()) == 3, "the first worker to have all again")
        read = first.has_read()
        wait_for(lambda: first.has_read() > read, "the first worker to go on")
    with pipeline.worker() as last:
        await check_exact(pipeline, last)


@pytest.mark.slow
@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_a_worker_that_was_suspended_does_not_write_over_its_successor(
    kafka: RealKafka, tmp_path: Path, guarantee: str
) -> None:
    name = f"asleep-{guarantee}"
    pipeline = await start(kafka, name, tmp_path, processing={"guarantee": guarantee})
    with pipeline.worker() as first, traffic(pipeline):
        wait_for(lambda: first.has_read() > 0, "the first worker to read")
        with pipeline.worker() as second:
            wait_for(lambda: second.has_read() > 0, "the second worker to read")
            first.ready()
            first.process.send_signal(signal.SIGSTOP)
            wait_for(lambda: len(second.partitions()) == 3, "the second worker to take over")
            read = second.has_read()
            wait_for(lambda: second.has_read() > read, "the second worker to go on")
            rebalances = second.status()["rebalances"]
            first.process.send_signal(signal.SIGCONT)
            if guarantee == "at_least_once":
                assert first.process.wait(30) == 1
                assert "stood still" in first.log()
            else:
                # It is fenced, so it may live: it joins the group again.
                wait_for(lambda: second.status()["rebalances"] > rebalances, "it to come back")
                second.ready()
                first.ready()
                read = first.has_read()
                wait_for(lambda: first.has_read() > read, "the first worker to go on")
                first.kill()
            second.kill()
    with pipeline.worker() as last:
        await check_exact(pipeline, last)


async def test_a_partition_that_stays_is_not_read_from_its_state_again(
    kafka: RealKafka, tmp_path: Path
) -> None:
    pipeline = await start(kafka, "stays", tmp_path)
    pipeline.send(range(500))
    with pipeline.worker() as first:
        wait_for(lambda: first.has_read() == 500 and first.checkpoints() > 0, "a checkpoint")
        with pipeline.worker() as second:
            wait_for(lambda: first.status()["rebalances"] > 1, "a rebalance")
            second.ready()
            first.ready()
            kept = [p for p in first.status()["partitions"] if p["stage"] == "join"]
            assert all(p["checkpoints"] > 0 and p["restored_records"] == 0 for p in kept)
            got = [p for p in second.status()["partitions"] if p["stage"] == "join"]
            assert kept
            assert all(p["restored_records"] > 0 for p in got)
            await check_exact(pipeline, first, second)


async def test_a_broken_state_record_stops_the_worker_and_is_named(
    kafka: RealKafka, tmp_path: Path
) -> None:
    pipeline = await start(kafka, "broken", tmp_path)
    pipeline.send_raw("state_join", b"\x63not ours", b"join/1/sums-1", at=1)
    with pipeline.worker() as worker:
        assert worker.process.wait(30) != 0
        log = worker.log()
    assert "b'join/1/sums-1' at offset 0 of broken.state-join[1]" in log
    assert "expected version 1, found version 99" in log


async def test_topics_that_do_not_fit_together_stop_the_worker_with_advice(
    kafka: RealKafka, tmp_path: Path
) -> None:
    pipeline = Pipeline(kafka.bootstrap_servers, "uneven", tmp_path)
    with pipeline.worker() as worker:
        assert worker.process.wait(30) != 0
        assert "topics missing: uneven.predictions" in worker.log()
        assert "driftline topics create" in worker.log()
    kafka.create_topics(pipeline.layout | {"uneven.feedback": 3})
    counts = await partition_counts(client_options(pipeline.settings.pipeline.kafka))
    with pytest.raises(TopicError, match=r"same number of partitions.*uneven\.feedback has 3"):
        check_layout(pipeline.settings, counts)


async def test_creating_topics_twice_changes_nothing_and_differences_come_with_advice(
    kafka: RealKafka, tmp_path: Path
) -> None:
    pipeline = Pipeline(kafka.bootstrap_servers, "made", tmp_path)
    assert {report.state for report in await inspect(pipeline.settings)} == {"missing"}
    assert {report.state for report in await create(pipeline.settings)} == {"created"}
    again = await create(pipeline.settings)
    assert [(r.spec.name, r.state, r.advice) for r in again if r.state != "exists"] == []
    wider = Pipeline(
        kafka.bootstrap_servers,
        "made",
        tmp_path,
        topics={"prefix": "made", "partitions": 3, "retention": "1d"},
    )
    reports = {r.spec.logical: r for r in await inspect(wider.settings)}
    assert reports["state_join"].state == "differs"
    assert "has 2 partitions" in reports["state_join"].advice[0]
    assert any("retention.ms=86400000" in line for line in reports["metrics"].advice)
    assert reports["state_monitor"].state == "exists"


async def test_a_broker_that_dies_and_comes_back_costs_nothing(
    kafka: RealKafka, tmp_path: Path
) -> None:
    pipeline = await start(
        kafka, "reborn", tmp_path, kafka={"request_timeout": "30s", "session_timeout": "10s"}
    )
    pipeline.send(range(300))
    with pipeline.worker() as worker:
        wait_for(lambda: worker.checkpoints() > 0, "a checkpoint")
        kafka.kill()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(kafka.restart)
        pipeline.send(range(300, 600))
        await check_exact(pipeline, worker)


async def test_a_broker_that_stays_away_stops_the_worker_and_the_next_one_goes_on(
    kafka: RealKafka, tmp_path: Path
) -> None:
    pipeline = await start(kafka, "away", tmp_path, processing={"checkpoint_timeout": "3s"})
    pipeline.send(range(300))
    with pipeline.worker() as worker:
        wait_for(lambda: worker.checkpoints() > 0, "a checkpoint")
        with traffic(pipeline):
            wait_for(lambda: worker.has_read() > 300, "more to be read")
        kafka.kill()
        try:
            assert worker.process.wait(40) == 1
        finally:
            await asyncio.to_thread(kafka.restart)
        assert "Kafka did not take a" in worker.log()
        assert "full or broken disk" in worker.log()
    with pipeline.worker() as worker:
        await check_exact(pipeline, worker)
