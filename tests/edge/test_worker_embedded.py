"""A worker on the embedded broker: the quick half of the end-to-end tests."""

import signal
from pathlib import Path

import pytest
from edge.harness import Pipeline, wait_for

from support.embedded import StartBroker

pytestmark = pytest.mark.embedded


def start(embedded: StartBroker, folder: Path, name: str) -> Pipeline:
    layout = Pipeline("127.0.0.1:1", name, folder).layout
    return Pipeline(embedded(layout).bootstrap_servers, name, folder)


async def test_every_record_counts_once_through_a_kill_and_an_orderly_stop(
    embedded: StartBroker, tmp_path: Path
) -> None:
    pipeline = start(embedded, tmp_path, "exact")
    pipeline.send(range(3000))
    with pipeline.worker() as worker:
        wait_for(lambda: worker.checkpoints() > 0, "a checkpoint")
        worker.kill()
    pipeline.send(range(3000, 4000))
    with pipeline.worker() as worker:
        wait_for(lambda: worker.has_read() == 4000, "all records to be read")
        assert worker.status()["partitions"][0]["restored_records"] > 0
        assert worker.terminate(signal.SIGINT) == 0, worker.log()
    totals, counts, _ = await pipeline.state()
    assert totals == pipeline.expected
    assert sum(counts.values()) == 4000
    newest = {key.decode(): value for key, value in pipeline.read_all("partials") if key}
    sums: dict[str, int] = {}
    for value in newest.values():
        name, total = value.decode().split(":")
        sums[name] = int(total)
    assert set(sums) == set(pipeline.expected)


async def test_a_record_that_cannot_be_processed_ends_the_worker_and_is_not_acknowledged(
    embedded: StartBroker, tmp_path: Path
) -> None:
    pipeline = start(embedded, tmp_path, "poison")
    pipeline.send_raw("predictions", b"a:1")
    pipeline.send_raw("predictions", b"poison")
    pipeline.send_raw("predictions", b"a:2")
    with pipeline.worker() as worker:
        assert worker.process.wait(30) != 0
        assert "ValueError: cannot be processed" in worker.log()
    assert pipeline.committed().get((pipeline.name("predictions"), 0), 0) <= 1
    totals, _, _ = await pipeline.state()
    assert totals in ({}, {"a": 1})
