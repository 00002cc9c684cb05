"""Driftline beside the floor and beside stock Faust, in one run on a real Apache Kafka.

    make bench
    make bench ARGS="--rows 200000 --only driftline floor_orjson"

Writes ``benchmarks/results/latest.json`` when everything was measured at full size and counted
right, otherwise ``partial.json`` in the cache folder.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import orjson
from broker import KafkaUnavailableError, RealKafka, kafka_version
from confluent_kafka import KafkaException
from driftline_system import Run, Variant, WrongCountsError, configure, run_idle, run_worker
from loading import Loader
from measuring import Measured, Used
from results import Result, document, ratios, table, write
from workload import Encoded, Messages, Workload, closing, encoded

from streams.events.partitioner import partition_for

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".driftline" / "bench"
LATEST = HERE / "results" / "latest.json"
PARTIAL = CACHE / "partial.json"
FULL_ROWS = 1_000_000
STOCK_ROWS = 10_000

VARIANTS = (
    Variant("driftline", "in1.predictions", "in1.feedback"),
    Variant("driftline_4_partitions", "in4.predictions", "in4.feedback", partitions=4),
    Variant("driftline_segment", "in1.predictions", "in1.feedback", segments=True),
    Variant("driftline_batches", "batches.predictions", "batches.feedback"),
)
FLOORS = {
    "floor_orjson": ("orjson", "in1"),
    "floor_msgspec": ("msgspec", "in1"),
    "floor_batches": ("orjson", "batches"),
}
STOCK = {
    "stock_faust": (
        "tables",
        "two agents, one table, one hopping window table, per event; rate taken from fewer rows",
    ),
    "stock_faust_dicts": (
        "dicts",
        "the same with plain dictionaries in place of tables: nothing survives a restart",
    ),
}
SYSTEMS = (*(variant.name for variant in VARIANTS), *FLOORS, *STOCK)


class Bench:
    """One run: a broker, topics that are filled when first needed, and what was measured."""

    def __init__(self, bootstrap: str, workload: Workload, made: Encoded, folder: Path) -> None:
        self.workload = workload
        self.results: list[Result] = []
        self.failures: dict[str, str] = {}
        self._bootstrap = bootstrap
        self._made = made
        self._folder = folder
        self._loader = Loader(bootstrap)
        self._filled: set[str] = set()
        self._idle: Used | None = None

    def measure(self, system: str, stock_rows: int) -> None:
        """Measure one system; what goes wrong is noted and the others go on."""
        say(f"{system} ...")
        try:
            result = self._one(system, stock_rows)
        except (WrongCountsError, RuntimeError, OSError, KafkaException) as error:
            self.failures[system] = str(error)
            say(f"{system} FAILED: {error}")
        else:
            self.results.append(result)
            say(f"{system}: {result.rate:,.0f} rows per CPU-second")

    def _one(self, system: str, stock_rows: int) -> Result:
        if system in STOCK:
            return self._stock(system, stock_rows)
        if system in FLOORS:
            return self._floor(system, *FLOORS[system])
        return self.driftline(next(v for v in VARIANTS if v.name == system))

    def driftline(
        self, variant: Variant, command: Callable[[Path], list[str]] | None = None
    ) -> Result:
        """Measure a worker."""
        idle = self._idle or self._measure_idle()
        self._idle = idle
        self.fill(variant.predictions.partition(".")[0], variant.partitions)
        config = configure(self._bootstrap, variant, self.workload, self._folder / variant.name)
        run = run_worker(
            config, self.workload, self._made.correct, command=command and command(config)
        )
        used = run.used
        return Result(
            variant.name,
            _what(variant),
            self.workload.rows,
            used.wall_seconds,
            used.cpu_seconds,
            used.peak_rss_bytes,
            used.cpu_seconds - idle.cpu_seconds,
            used.wall_seconds - idle.wall_seconds,
            _details(run, idle),
        )

    def _measure_idle(self) -> Used:
        self._loader.create({"idle.predictions": 1, "idle.feedback": 1})
        variant = Variant("idle", "idle.predictions", "idle.feedback")
        config = configure(self._bootstrap, variant, self.workload, self._folder / "idle")
        return run_idle(config)

    def _floor(self, system: str, decoder: str, prefix: str) -> Result:
        self.fill(prefix, 1)
        made = self._made
        messages = made.prediction_batches if prefix == "batches" else made.predictions
        script = (sys.executable, str(HERE / "floor.py"))
        arguments = (
            decoder,
            f"{prefix}.predictions",
            f"{prefix}.feedback",
            str(2 * len(messages) + 2),
        )
        log = self._folder / f"{system}.log"
        with Measured([*script, self._bootstrap, *arguments], log) as process:
            process.wait(600)
        found = orjson.loads(log.read_bytes().splitlines()[-1])
        what = f"reads both topics with aiokafka and decodes each message with {decoder}"
        return Result(system, what, self.workload.rows, **found)

    def _stock(self, system: str, rows: int) -> Result:
        state, what = STOCK[system]
        rows = min(rows, self.workload.rows)
        predictions, feedback = "stock.predictions", "stock.feedback"
        if predictions not in self._filled:
            self._filled.add(predictions)
            self._loader.create({predictions: 1, feedback: 1})
            self._loader.fill(predictions, 1, self._made.predictions.about(rows))
            self._loader.fill(feedback, 1, self._made.feedback.about(rows))
        out = self._folder / f"{system}.json"
        environment = {
            "BENCH_BOOTSTRAP": self._bootstrap,
            "BENCH_PREDICTIONS": predictions,
            "BENCH_FEEDBACK": feedback,
            "BENCH_ROWS": str(rows),
            "BENCH_OUT": str(out),
            "BENCH_STATE": state,
        }
        script = [sys.executable, str(HERE / "stock_faust.py")]
        command = [*script, f"--datadir={self._folder / system}", "worker", "--loglevel=warn"]
        with Measured(command, self._folder / f"{system}.log", environment) as process:
            deadline = time.monotonic() + 600
            while not out.exists():
                process.check_alive()
                if time.monotonic() > deadline:
                    raise RuntimeError(f"it did not finish:\n{process.tail()}")
                time.sleep(0.05)
        found = orjson.loads(out.read_bytes())
        details = {key: found.pop(key) for key in ("joined", "correct")}
        return Result(system, what, rows, **found, details=details)

    def fill(self, prefix: str, partitions: int) -> None:
        """Create and fill the topics of a prefix, once."""
        if prefix in self._filled:
            return
        self._filled.add(prefix)
        made = self._made
        batched = prefix == "batches"
        predictions = made.prediction_batches if batched else made.predictions
        feedback = made.feedback_batches if batched else made.feedback
        topics = f"{prefix}.predictions", f"{prefix}.feedback"
        self._loader.create(dict.fromkeys(topics, partitions))
        last = _closing(self.workload, partitions)
        closings = ({p: e[1] for p, e in last.items()}, {p: e[2] for p, e in last.items()})
        for topic, messages, values in zip(topics, (predictions, feedback), closings, strict=True):
            started = time.monotonic()
            self._loader.fill(topic, partitions, messages)
            for place, value in values.items():
                self._loader.close(
                    topic, partitions, place, last[place][0], value, self.workload.closing_ms
                )
            say(f"filled {topic}: {len(messages):,} in {time.monotonic() - started:.0f} s")


def _closing(workload: Workload, partitions: int) -> dict[int, tuple[str, bytes, bytes]]:
    """Find a closing pair for every partition."""
    found: dict[int, tuple[str, bytes, bytes]] = {}
    number = 0
    while len(found) < partitions:
        pair = closing(workload, number)
        found.setdefault(partition_for(pair[0].encode(), partitions), pair)
        number += 1
    return found


def _what(variant: Variant) -> str:
    parts = [
        f"one worker, {variant.partitions} partition{'s' * (variant.partitions > 1)}",
        "columnar messages" if variant.name.endswith("_batches") else "one message per event",
        "20 features, windows 1m and 5m/1m, ADWIN, PSI, Jensen-Shannon, Kolmogorov-Smirnov",
    ]
    return ", ".join(parts + ["one segment of five values"] * variant.segments)


def _details(run: Run, idle: Used) -> dict[str, object]:
    return {
        "idle_start_cpu_seconds": round(idle.cpu_seconds, 3),
        "idle_start_wall_seconds": round(idle.wall_seconds, 3),
        "windows_published": len(run.books.seen),
        "distances_computed": run.books.drifts(),
        "detector_alarms": run.books.alarms,
        "cpu_seconds_by_thread": dict(list(run.threads.items())[:4]),
    }


def describe(workload: Workload, made: Encoded) -> dict[str, object]:
    """Say what the systems were given."""

    def mean(messages: Messages) -> float:
        return round(len(messages.values) / len(messages), 1)

    return {
        **asdict(workload),
        "payload_bytes": {
            "prediction": mean(made.predictions),
            "feedback": mean(made.feedback),
            "prediction_batch": mean(made.prediction_batches),
            "feedback_batch": mean(made.feedback_batches),
        },
    }


def say(text: str) -> None:
    """Tell how far the run is."""
    print(text, file=sys.stderr, flush=True)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=FULL_ROWS, help="predictions (and labels)")
    parser.add_argument("--rate", type=float, default=5000.0, help="per second of event time")
    parser.add_argument("--stock-rows", type=int, default=STOCK_ROWS, help="rows for stock Faust")
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=SYSTEMS, metavar="SYSTEM")
    parser.add_argument("--out", type=Path, help="results file")
    return parser.parse_args(arguments)


def run(workload: Workload, systems: Iterable[str], stock_rows: int, out: Path) -> int:
    """Measure systems one after the other; returns an exit code."""
    say("encoding the workload (once) ...")
    made = encoded(workload, CACHE)
    try:
        node = RealKafka(heap="1g")
        with node, tempfile.TemporaryDirectory(prefix="driftline-bench-") as folder:
            bench = Bench(node.bootstrap_servers, workload, made, Path(folder))
            for system in systems:
                bench.measure(system, stock_rows)
    except KafkaUnavailableError as error:
        say(f"a real Kafka is needed: {error}")
        return 2
    kafka = "external" if node.external else kafka_version()
    body = document(bench.results, describe(workload, made), kafka, bench.failures)
    if bench.failures and out == LATEST:
        out = PARTIAL
    write(out, body)
    print(table(bench.results))
    print()
    for pair, ratio in ratios(bench.results).items():
        print(f"{pair}: {ratio:g}")
    print(f"\nwritten to {out}")
    return 1 if bench.failures else 0


def main() -> int:
    """Run the benchmark."""
    options = parse()
    whole = options.rows >= FULL_ROWS and set(options.only) == set(SYSTEMS)
    out = options.out or (LATEST if whole else PARTIAL)
    workload = Workload(rows=options.rows, rate=options.rate)
    return run(workload, options.only, options.stock_rows, out)


if __name__ == "__main__":
    sys.exit(main())
