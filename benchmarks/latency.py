"""How long an event takes to the published metric, under steady load at half the full rate.

A window is published when the stream has passed its end (view by label time), or its end and the
model's ``out_of_orderness`` (view by prediction time). Events are sent when they happen, so the
event that passes that moment is sent at that moment: **latency is the time from there until a
consumer at read_committed has the record**. It holds the way through the broker, the tick (a second
by default), two stages, and the checkpoint that makes the outputs visible. What an event waits for
its window to end is the window's length and not counted; ``out_of_orderness``, which is configured,
is counted in the figures called ``from_end`` alone.
"""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from confluent_kafka import Consumer, TopicPartition
from driftline_system import Variant, configure, ready, wait_until, worker_command
from live_load import sent_at
from measuring import Measured
from systems import Bench, topics_of

from streams.config.load import load
from streams.payloads import Window, decode

HERE = Path(__file__).resolve().parent
WARM_UP_S, SECONDS = 10.0, 45.0
USUAL_RATE = 10_000.0
"""Rows per second where the full rate was not measured in the same run."""
ENOUGH_ROWS = 200_000
"""A run of fewer is mostly starting, and tells no full rate."""
MODEL = {
    "windows": [{"size": "2s"}, {"size": "10s", "hop": "2s"}],
    "label_horizon": "10s",
    "remember": "10s",
    "allowed_lateness": "5s",
}


def measure(bench: Bench) -> dict[str, Any]:
    """Run a worker under live load and time what it publishes.

    Raises:
        RuntimeError: the worker or the load failed, or nothing was published.
    """
    full = next((r for r in bench.results if r.system == "driftline"), None)
    told = full is not None and full.rows >= ENOUGH_ROWS
    rate = full.rows / full.wall_seconds_net / 2 if full and told else USUAL_RATE
    seconds = SECONDS if bench.workload.rows >= 1_000_000 else 25.0
    topics = topics_of("live")
    bench.loader.create(dict.fromkeys(topics, 1))
    variant = Variant("latency", *topics, model=MODEL)
    config = configure(bench.bootstrap, variant, bench.workload, bench.folder / "latency")
    settings = load(config)
    pipeline = settings.pipeline
    consumer = Consumer(
        {"bootstrap.servers": bench.bootstrap, "log_level": 0, "group.id": "bench-latency"}
    )
    consumer.assign([TopicPartition(pipeline.topics.name("metrics"), 0, 0)])
    script = [sys.executable, str(HERE / "live_load.py"), bench.bootstrap, *topics]
    heard: list[tuple[float, Window]] = []
    with Measured(worker_command(config), config.with_name("worker.log")) as worker:
        wait_until(lambda: ready(pipeline.http.port), worker)
        before, begun = worker.used(), time.time()
        log = config.with_name("load.log")
        with Measured([*script, str(rate), str(seconds)], log) as sender:
            while sender.process.poll() is None:
                heard += _heard(consumer)
                worker.check_alive()
            sender.wait(1)
            sent = orjson.loads(log.read_bytes().splitlines()[-1])
        after = worker.used()
        worker.terminate()
    consumer.close()
    (model,) = settings.models.values()
    return _figures(
        [one for one in heard if one[0] - begun > WARM_UP_S],
        sent["started"],
        model.config.out_of_orderness / 1000,
        {
            "wanted_rows_per_second": round(rate),
            "rows_per_second": round(sent["rows"] / sent["seconds"]),
            "longest_pause_of_the_load_s": round(sent["longest_pause_s"], 3),
            "checkpoint_interval_s": pipeline.processing.checkpoint_interval / 1000,
            "tick_s": settings.tick_ms / 1000,
            "worker_cores": round(
                (after.cpu_seconds - before.cpu_seconds)
                / (after.wall_seconds - before.wall_seconds),
                2,
            ),
        },
    )


def _heard(consumer: Consumer) -> list[tuple[float, Window]]:
    found = []
    for message in consumer.consume(100, 0.02):
        now = time.time()
        if not message.error() and isinstance(payload := decode(message.value()), Window):
            found.append((now, payload))
    return found


def _figures(
    heard: list[tuple[float, Window]], started: float, wait_s: float, about: dict[str, Any]
) -> dict[str, Any]:
    """Sum up first publications of the whole model."""
    from_end: dict[str, list[float]] = {"prediction_time": [], "label_time": []}
    completed: list[float] = []
    for at, window in heard:
        if window.revision == 0 and (window.model_version, window.segment) == ("*", "*"):
            end = datetime.fromisoformat(window.end).timestamp()
            due = end + wait_s if window.view == "prediction_time" else end
            from_end[window.view].append(at - sent_at(started, end))
            completed.append(at - sent_at(started, due))
    if not all(from_end.values()):
        raise RuntimeError("no windows were published while the load was steady")
    overall = _spread(completed)
    rate = about["rows_per_second"]
    return {
        **about,
        "event_to_metric": overall,
        "label_time_from_end": _spread(from_end["label_time"]),
        "prediction_time_from_end": _spread(from_end["prediction_time"]),
        "out_of_orderness_s": wait_s,
        "told": [
            (
                f"from the event that completes a window to the published metric, {rate:,} rows "
                f"per second: p50 {overall['p50_s']:.2f} s, p99 {overall['p99_s']:.2f} s, "
                f"most {overall['max_s']:.2f} s ({overall['n']} windows)"
            )
        ],
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    return {
        "n": len(seconds),
        "p50_s": round(float(np.percentile(seconds, 50)), 3),
        "p99_s": round(float(np.percentile(seconds, 99)), 3),
        "max_s": round(max(seconds), 3),
    }
