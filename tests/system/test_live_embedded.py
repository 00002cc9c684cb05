"""Live on the embedded broker equals the replay of the same events: the quick version."""

from pathlib import Path

import pytest
from replay.running import Json, run
from system import traffic
from system.checks import check_books, check_same, wait_until_done
from system.live import System

from streams.config.load import load
from streams.edge.topics import declare
from support.embedded import StartBroker

PIPELINE: Json = traffic.PIPELINE | {
    "processing": {**traffic.PIPELINE.get("processing", {}), "guarantee": "at_least_once"}
}
"""The embedded broker has no transactions."""

pytestmark = [pytest.mark.embedded, pytest.mark.data]


def test_live_and_replay_publish_the_same_windows_and_alerts(
    embedded: StartBroker, nannyml_data: Path, model: Json, tmp_path: Path
) -> None:
    events = traffic.make(nannyml_data, tmp_path, 1_500, skip=24_000)
    planned = System("127.0.0.1:1", "quick", tmp_path, PIPELINE, model)
    layout = {spec.name: spec.partitions for spec in declare(load(planned.config))}
    broker = embedded(layout)
    system = System(broker.bootstrap_servers, "quick", tmp_path, PIPELINE, model)
    for kind, file in (("predictions", events.predictions), ("feedback", events.feedback)):
        run(
            *("publish", file, "--kind", kind, "--topic", system.topic(kind)),
            *("--bootstrap-servers", system.bootstrap_servers),
        )
    with system.worker() as worker:
        wait_until_done(events, worker)
        check_books(events, worker)
        worker.terminate()
    check_same(system, events)
