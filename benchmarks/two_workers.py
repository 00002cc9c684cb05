"""Two workers on two sets of partitions beside one worker on both.

Topics are filled while the workers run, after they have shared the partitions: otherwise the first
to come would start on everything. Speed-up is the CPU time of the one worker over that of the
busier of two, both without starting: how much sooner the same work is done by two cores.
"""

import time
from pathlib import Path
from typing import Any

import orjson
from driftline_system import (
    Books,
    Variant,
    configure,
    free_port,
    readiness,
    take_metrics,
    wait_until,
    watch,
    worker_command,
)
from measuring import Measured
from systems import Bench, topics_of

from streams.config.load import load

PARTITIONS = 2
ROWS = 300_000
_PATIENCE = 240.0


def measure(bench: Bench) -> dict[str, Any]:
    """Run one worker, then two.

    Raises:
        RuntimeError: a worker ended early, or did not get its share.
        WrongCountsError: what they published together does not add up.
    """
    rows = min(ROWS, bench.workload.rows)
    one, two = _run(bench, rows, 1), _run(bench, rows, 2)
    speed_up, overhead = one[0] / max(two), sum(two) / one[0]
    return {
        "rows": rows,
        "one_worker_cpu_s": [round(seconds, 2) for seconds in one],
        "two_workers_cpu_s": [round(seconds, 2) for seconds in two],
        "speed_up": round(speed_up, 3),
        "cpu_of_two_over_one": round(overhead, 3),
        "told": [
            (
                f"two workers on two partition sets: {speed_up:.2f} times one by CPU-seconds "
                f"(one: {one[0]:.1f}; two: {two[0]:.1f} and {two[1]:.1f} for {rows:,} rows)"
            )
        ],
    }


def _run(bench: Bench, rows: int, workers: int) -> list[float]:
    """Run so many workers; return the CPU-seconds of each without starting."""
    name = f"sets{workers}"
    bench.loader.create(dict.fromkeys(topics_of(name), PARTITIONS))
    variant = Variant(f"workers_{workers}", *topics_of(name), partitions=PARTITIONS)
    config = configure(bench.bootstrap, variant, bench.workload, bench.folder / name)
    configs = [config, *(_another(config, number) for number in range(1, workers))]
    ports = [load(one).pipeline.http.port for one in configs]
    running = [Measured(worker_command(one), one.with_suffix(".log")) for one in configs]
    consumer = watch(load(config))
    books = Books.before(bench.workload)
    try:
        for worker, port in zip(running, ports, strict=True):
            wait_until(lambda port=port: _has(port, PARTITIONS // workers), worker)
        before = [worker.used().cpu_seconds for worker in running]
        parts = bench.made.predictions.about(rows), bench.made.feedback.about(rows)
        bench.send(name, PARTITIONS, parts, bench.closing(PARTITIONS))
        deadline = time.monotonic() + _PATIENCE
        while not books.complete(rows) and time.monotonic() < deadline:
            take_metrics(consumer, books)
            for worker in running:
                worker.check_alive()
        after = [worker.used().cpu_seconds for worker in running]
    finally:
        for worker in running:
            if worker.process.poll() is None:
                worker.terminate()
        consumer.close()
    books.check(rows, bench.made.correct_among(rows), segments=False)
    return [b - a for a, b in zip(before, after, strict=True)]


def _another(config: Path, number: int) -> Path:
    """Write the same configuration with another port."""
    body = orjson.loads(config.read_bytes())
    body["http"] = {"port": free_port()}
    path = config.with_name(f"worker-{number}.yaml")
    path.write_bytes(orjson.dumps(body))
    return path


def _has(port: int, joins: int) -> bool:
    """Tell whether a worker is ready and has so many partitions of the join."""
    found = readiness(port)
    owned = [one for one in found.get("partitions", []) if one.startswith("join/")]
    return bool(found.get("ready")) and len(owned) == joins
