"""Everything that is promised of Driftline's speed, in one run on a real Apache Kafka.

    make bench
    make bench ARGS="--rows 200000 --only driftline floor_orjson bytewax"

First the systems side by side (Driftline, the floor, the peers), then single measurements of
Driftline: flat costs, latency, two workers, the scrape, the restore. One that fails does not
stop the others. Writes ``benchmarks/results/latest.json`` when everything was measured at full
size and counted right, otherwise ``partial.json`` in the cache folder;
``python benchmarks/results.py`` makes Markdown of it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import latency
import msgspec
import restoring
import scaling
import scraping
import two_workers
from broker import KafkaUnavailableError, RealKafka, kafka_version
from confluent_kafka import KafkaException
from driftline_system import WrongCountsError
from results import LATEST, PARTIAL, document, ratios, table, write
from systems import SYSTEMS, Bench, describe, say
from workload import Encoded, Workload, encoded

from streams.config.errors import ConfigError

CACHE = PARTIAL.parent
FULL_ROWS = 1_000_000

MEASUREMENTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "features": scaling.features_of,
    "waiting": scaling.waiting_of,
    "latency": latency.measure,
    "two_workers": two_workers.measure,
    "scrape": scraping.measure,
    "restore": restoring.measure,
}
NAMES = (*SYSTEMS, *MEASUREMENTS)
FAILURES = (
    *(WrongCountsError, RuntimeError, OSError, ValueError, KeyError),
    *(KafkaException, ConfigError, subprocess.SubprocessError, msgspec.MsgspecError),
)
"""What may go wrong with one measurement without stopping the others."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=FULL_ROWS, help="predictions (and labels)")
    parser.add_argument("--rate", type=float, default=5000.0, help="per second of event time")
    parser.add_argument("--peer-rows", type=int, help="rows for each peer")
    parser.add_argument("--full", action="store_true", help="also ten million waiting predictions")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME")
    parser.add_argument("--out", type=Path, help="results file")
    return parser.parse_args(arguments)


def run(
    workload: Workload, names: Iterable[str], peer_rows: int | None, out: Path, *, full: bool
) -> int:
    """Measure one thing after the other; returns an exit code."""
    say("encoding the workload (once) ...")
    made = encoded(workload, CACHE)
    measured: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}
    try:
        node = RealKafka(heap="1g")
        with node, tempfile.TemporaryDirectory(prefix="driftline-bench-") as folder:
            bench = Bench(node.bootstrap_servers, workload, made, Path(folder), full=full)
            for name in names:
                _one(bench, name, peer_rows, measured, failures)
    except KafkaUnavailableError as error:
        say(f"a real Kafka is needed: {error}")
        return 2
    kafka = "external" if node.external else kafka_version()
    body = _body(bench, made, kafka, measured, failures)
    if failures and out == LATEST:
        out = PARTIAL
    write(out, body)
    print(table(bench.results))
    print()
    for pair, ratio in ratios(bench.results).items():
        print(f"{pair}: {ratio:g}")
    for goal in body["goals"]:
        print(f"{'met   ' if goal['met'] else 'MISSED'}  {goal['goal']}: {goal['figure']:g}")
    print(f"\nwritten to {out}")
    return 1 if failures else 0


def _one(
    bench: Bench,
    name: str,
    peer_rows: int | None,
    measured: dict[str, dict[str, Any]],
    failures: dict[str, str],
) -> None:
    """Measure one thing; what goes wrong is noted."""
    say(f"{name} ...")
    started = time.monotonic()
    try:
        if name in MEASUREMENTS:
            measured[name] = MEASUREMENTS[name](bench)
            told = f"measured in {time.monotonic() - started:.0f} s"
        else:
            result = bench.system(name, peer_rows)
            told = f"{result.rate:,.0f} rows per CPU-second"
            if result.details.get("miscounts"):
                told += f"; it MISCOUNTED: {result.details['miscounts']}"
    except FAILURES as error:
        failures[name] = f"{type(error).__name__}: {error}"
        say(f"{name} FAILED: {failures[name]}")
    else:
        say(f"{name}: {told}")


def _body(
    bench: Bench,
    made: Encoded,
    kafka: str,
    measured: dict[str, dict[str, Any]],
    failures: dict[str, str],
) -> dict[str, Any]:
    workload = describe(bench.workload, made)
    return document(bench.results, workload, kafka, measured, failures)


def main() -> int:
    """Run the benchmark."""
    options = parse()
    whole = options.rows >= FULL_ROWS and set(options.only) == set(NAMES)
    out = options.out or (LATEST if whole else PARTIAL)
    workload = Workload(rows=options.rows, rate=options.rate)
    return run(workload, options.only, options.peer_rows, out, full=options.full)


if __name__ == "__main__":
    sys.exit(main())
