"""A worker on the embedded broker: the quick half of the end-to-end tests."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from edge.harness import ROOT, Pipeline, free_port

from support.embedded import StartBroker
from support.waiting import wait_for

pytestmark = pytest.mark.embedded

FAUST_WEB_PORT = 6066


def start(embedded: StartBroker, folder: Path, name: str) -> Pipeline:
    layout = Pipeline("127.0.0.1:1", name, folder).layout
    parts = {"processing": {"guarantee": "at_least_once"}}
    return Pipeline(embedded(layout).bootstrap_servers, name, folder, **parts)


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


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Hold a port on all interfaces, unless somebody else does: a worker that wants it dies."""
    with socket.socket() as holder:
        with suppress(OSError):
            holder.bind(("", port))
            holder.listen()
        yield


def test_fausts_own_command_starts_the_real_worker(embedded: StartBroker, tmp_path: Path) -> None:
    pipeline = start(embedded, tmp_path, "real")
    port = free_port()
    given = pipeline.given | {
        "http": {"port": port},
        "processing": {"guarantee": "at_least_once"},
        "models": [str(ROOT / "config" / "models" / "fraud.yaml")],
    }
    config = tmp_path / "driftline.yaml"
    config.write_text(json.dumps(given), encoding="utf-8")
    pipeline.send_raw("predictions", b"no event")

    def page() -> str:
        assert process.poll() is None, (tmp_path / "worker.log").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as got:
                return str(got.read(), "utf-8")
        except OSError:
            return ""

    with (tmp_path / "worker.log").open("wb") as log, taken(FAUST_WEB_PORT):
        process = subprocess.Popen(
            [sys.executable, "-m", "faust", "-A", "streams.edge.worker", "worker"],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "DRIFTLINE_CONFIG": str(config)},
        )
        try:
            wait_for(lambda: "driftline_quarantined_total" in page(), "a quarantined record")
            wait_for(lambda: pipeline.read_all("quarantine_predictions"), "it to be published")
            process.terminate()
            assert process.wait(30) == 0, (tmp_path / "worker.log").read_text()
        finally:
            process.kill()
            process.wait(10)
